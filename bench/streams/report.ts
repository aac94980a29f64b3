import { median, quantile } from "../median.ts";
import type { Costs } from "../policies/cost.ts";
import type { Subject } from "../policies/subject.ts";
import type { Compared } from "./subjects.ts";

/** Promises per call, by subject. */
export type Promises = ReadonlyMap<Subject, number>;

/** A table with a row per operator: what a message costs with each, and the ratios within a round. */
export function costTable(rows: readonly Compared[], bare: Subject, costs: Costs, promises: Promises): string {
  const lines = rows.map(({ title, messages, ours, generator, readable }) => {
    const cell = (subject: Subject | undefined) =>
      subject
        ? `${Math.round(median(costs.get(subject) ?? []) / messages)}, ${count(promises, subject, messages)}`
        : "";
    const cells = [
      cell(ours),
      cell(generator),
      cell(readable),
      ratio(costs, ours, generator),
      ratio(costs, ours, readable),
    ];
    return `| ${[title, ...cells].join(" | ")} |`;
  });
  const own = `${Math.round(median(costs.get(bare) ?? []))}, ${count(promises, bare, 1)}`;
  return [
    "| | ours | async generator | Readable | × generator | × Readable |",
    "|---|---|---|---|---|---|",
    `| ${bare.title} | ${own} | | | | |`,
    ...lines,
  ].join("\n");
}

function count(promises: Promises, subject: Subject, messages: number): string {
  return ((promises.get(subject) ?? Number.NaN) / messages).toFixed(1);
}

function ratio(costs: Costs, subject: Subject, peer: Subject | undefined): string {
  const base = peer && costs.get(peer);
  if (!base) return "";
  const all = (costs.get(subject) ?? []).flatMap((nanos, round) => {
    const other = base[round];
    return other ? [nanos / other] : [];
  });
  return `${median(all).toFixed(2)} (${quantile(all, 0.25).toFixed(2)}–${quantile(all, 0.75).toFixed(2)})`;
}
