import { median, quantile } from "../median.ts";
import type { Costs } from "./cost.ts";
import type { Subject } from "./subject.ts";

/** What the gates compare, and what all costs are shown beside. */
export interface Compared {
  readonly work: Subject;
  readonly pipeline: Subject;
  readonly direct: Subject;
  readonly opossum: Subject;
  readonly cockatiel: Subject;
}

/** How much of what a peer adds to the work the pipeline may add. */
const GATES = [
  { own: "pipeline", peer: "opossum", most: 1 / 3 },
  { own: "pipeline", peer: "cockatiel", most: 1 / 20 },
  { own: "direct", peer: "opossum", most: 1 / 3 },
  { own: "direct", peer: "cockatiel", most: 1 / 20 },
] as const;

/** A table of costs and, if there are gates, what came of them. */
export function costSection(title: string, costs: Costs, compared: Compared, gated: boolean): string {
  const gates = GATES.map(({ own, peer, most }) => {
    const ratio = median(ratios(costs, compared[own], compared[peer], compared.work));
    const verdict = ratio <= most ? "pass" : "FAIL";
    return `- ${verdict}: ${compared[own].title} adds ${ratio.toFixed(3)}× what ${compared[peer].title} adds, at most ${most.toFixed(3)}`;
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

/** @param base what is taken off both: the cost of what they are around. Default: nothing. */
function ratios(costs: Costs, subject: Subject, peer: Subject, base?: Subject): number[] {
  const others = costs.get(peer) ?? [];
  const bases = base && costs.get(base);
  return (costs.get(subject) ?? []).flatMap((nanos, round) => {
    const other = others[round];
    const less = bases?.[round] ?? 0;
    return other ? [(nanos - less) / (other - less)] : [];
  });
}
