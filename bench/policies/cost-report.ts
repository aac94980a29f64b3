import { median, quantile } from "../median.ts";
import type { Costs } from "./cost.ts";
import type { Subject } from "./subject.ts";

/** What the gates compare, and what all costs are shown beside. */
export interface Compared {
  readonly work: Subject;
  readonly pipeline: Subject;
  readonly opossum: Subject;
  readonly cockatiel: Subject;
}

/** How much of a peer's cost the pipeline may have. */
const GATES = [
  { peer: "opossum", most: 1 / 3 },
  { peer: "cockatiel", most: 1 / 20 },
] as const;

/** A table of costs and, if there are gates, what came of them. */
export function costSection(title: string, costs: Costs, compared: Compared, gated: boolean): string {
  const gates = GATES.map(({ peer, most }) => {
    const ratio = median(ratios(costs, compared.pipeline, compared[peer]));
    const verdict = ratio <= most ? "pass" : "FAIL";
    return `- ${verdict}: ${compared.pipeline.title} ${ratio.toFixed(3)}× ${compared[peer].title}, at most ${most.toFixed(3)}`;
  });
  return [`## ${title}`, table(costs, compared), gated ? gates.join("\n") : "No gate."].join("\n\n");
}

function table(costs: Costs, { work, opossum, cockatiel }: Compared): string {
  const lines = [...costs].map(([subject, nanos]) => {
    const over = median(nanos) - median(costs.get(work) ?? []);
    const cells = [Math.round(median(nanos)), subject === work ? "" : Math.round(over)];
    return `| ${[subject.title, ...cells, ratio(costs, subject, opossum), ratio(costs, subject, cockatiel)].join(" | ")} |`;
  });
  return [
    `| | ns per call | over the work | × ${opossum.title} | × ${cockatiel.title} |`,
    "|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function ratio(costs: Costs, subject: Subject, peer: Subject): string {
  const all = ratios(costs, subject, peer);
  return `${median(all).toFixed(3)} (${quantile(all, 0.25).toFixed(3)}–${quantile(all, 0.75).toFixed(3)})`;
}

function ratios(costs: Costs, subject: Subject, peer: Subject): number[] {
  const base = costs.get(peer) ?? [];
  return (costs.get(subject) ?? []).flatMap((nanos, round) => {
    const other = base[round];
    return other ? [nanos / other] : [];
  });
}
