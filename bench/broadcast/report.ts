import { median } from "../median.ts";
import type { Sample } from "./processes.ts";

/** How much of what it costs to encode for each subscriber a broadcast may cost, where there are many of them. */
const MOST = 0.7;

/** The samples of each variant, by name. */
export type Samples = ReadonlyMap<string, { readonly title: string; readonly samples: readonly Sample[] }>;

/** A table of what a message costs with so many subscribers, and what came of the gate. */
export function section(subscribers: number, variants: Samples): string {
  const base = variants.get("copied")?.samples ?? [];
  const lines = [...variants.values()].map(({ title, samples: own }) => {
    const micros = median(own.map(({ serverMicros }) => serverMicros)).toFixed(2);
    const perSecond = Math.round(median(own.map((sample) => sample.perSecond))).toLocaleString("en");
    return `| ${title} | ${micros} | ${ratio(own, base)} | ${perSecond} |`;
  });
  return [
    `## ${subscribers.toLocaleString("en")} subscriber${subscribers === 1 ? "" : "s"}`,
    "",
    "| | server CPU µs for each message that a subscriber gets | ratio | per second, all together |",
    "|---|---|---|---|",
    ...lines,
    "",
    gate(subscribers, variants.get("yielded")?.samples ?? [], base),
  ].join("\n");
}

function gate(subscribers: number, own: readonly Sample[], base: readonly Sample[]): string {
  if (subscribers === 1) return "No gate.";
  const found = median(ratiosOf(own, base));
  const verdict = found <= MOST ? "pass" : "FAIL";
  return `- ${verdict}: yielded by its handler ${found.toFixed(2)}× encoded for each, at most ${MOST}`;
}

function ratiosOf(own: readonly Sample[], base: readonly Sample[]): number[] {
  return own.map(({ serverMicros }, round) => serverMicros / (base[round]?.serverMicros ?? Number.NaN));
}

function ratio(own: readonly Sample[], base: readonly Sample[]): string {
  const ratios = ratiosOf(own, base);
  return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`;
}
