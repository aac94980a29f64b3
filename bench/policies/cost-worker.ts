// A process of its own for each row, with the peers: none is measured on code that was compiled for another.
import { measureCosts } from "./cost.ts";
import type { CostOrder, RowCosts } from "./row-costs.ts";
import { rows } from "./rows.ts";
import type { Subject } from "./subject.ts";

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
