import { median, quantile } from "../median.ts";
import type { RowCosts } from "./row-costs.ts";

/** The peers, and how much of each one's cost a gated row may have. */
const PEERS = [
  { peer: "opossum", title: "opossum: breaker with timeout", most: 1 / 3 },
  { peer: "cockatiel", title: "cockatiel: `wrap(retry, breaker, timeout)`", most: 1 / 20 },
] as const;

/** A table of costs and, if there are gates, what came of them. */
export function costSection(title: string, rows: readonly RowCosts[], gated: boolean): string {
  const gates = rows.filter((row) => row.gated).flatMap(gatesOf);
  return [`## ${title}`, table(rows), gated ? gates.join("\n") : "No gate."].join("\n\n");
}

function gatesOf(row: RowCosts): string[] {
  return PEERS.map(({ peer, title, most }) => {
    const ratio = median(ratios(row, peer));
    return `- ${ratio <= most ? "pass" : "FAIL"}: ${row.title} ${ratio.toFixed(3)}× ${title}, at most ${most.toFixed(3)}`;
  });
}

function table(rows: readonly RowCosts[]): string {
  const lines = rows.map((row) => {
    const over = Math.round(median(row.nanos) - median(row.work));
    const cells = [row.title, Math.round(median(row.nanos)), over === 0 ? "" : over];
    return `| ${[...cells, ...PEERS.map(({ peer }) => ratio(row, peer))].join(" | ")} |`;
  });
  return [
    `| | ns per call | over the work | ${PEERS.map(({ title }) => `× ${title}`).join(" | ")} |`,
    "|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function ratio(row: RowCosts, peer: "opossum" | "cockatiel"): string {
  const all = ratios(row, peer);
  return `${median(all).toFixed(3)} (${quantile(all, 0.25).toFixed(3)}–${quantile(all, 0.75).toFixed(3)})`;
}

function ratios(row: RowCosts, peer: "opossum" | "cockatiel"): number[] {
  return row.nanos.flatMap((nanos, round) => {
    const other = row[peer][round];
    return other ? [nanos / other] : [];
  });
}
