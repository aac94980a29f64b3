// A process of its own for each row, with the peers: none is measured on code that was compiled for another.
import { type CostOptions, measureCosts } from "./cost.ts";
import { rows } from "./rows.ts";
import type { Subject } from "./subject.ts";

/** What a process is to measure: the row with this index. */
export interface CostOrder extends CostOptions {
  readonly row: number;
}

/** What a row, and all that it is compared with, came to: nanoseconds per call, in the order of the rounds. */
export interface RowCosts {
  readonly title: string;
  readonly gated: boolean;
  readonly nanos: readonly number[];
  readonly work: readonly number[];
  readonly opossum: readonly number[];
  readonly cockatiel: readonly number[];
}

process.on("disconnect", () => process.exit(0));
process.once("message", async (order: CostOrder) => process.send?.(await measure(order)));
process.send?.("ready");

async function measure({ row: index, ...options }: CostOrder): Promise<RowCosts> {
  const { all, gated, work, opossum, cockatiel } = rows(options.inFlight);
  const row = all[index];
  if (!row) throw new Error(`there is no row ${index}`);
  const costs = await measureCosts([...new Set([work, row, opossum, cockatiel])], options);
  const of = (subject: Subject) => costs.get(subject) ?? [];
  const compared = { work: of(work), opossum: of(opossum), cockatiel: of(cockatiel) };
  return { title: row.title, gated: gated.has(row), nanos: of(row), ...compared };
}
