import { median, quantile } from "../median.ts";
import type { ServedSample } from "./processes.ts";
import { rejections, WORK } from "./rejections.ts";
import { BY_REDIS, variants } from "./variants.ts";

/** How much of a call that does 1 ms of work a rejection may cost. */
const MOST = 0.1;

/** The samples of each variant in the order of the rounds, by name. */
export type Samples = ReadonlyMap<string, readonly ServedSample[]>;

/** A table of what each variant costs a call. */
export function costs(samples: Samples): string {
  const lines = [...samples].map(([name, own]) => {
    const over = name === "nothing" ? "" : median(compared(samples, own, "nothing", (a, b) => a - b)).toFixed(1);
    return `| ${variants[name]?.title} | ${figures(own)} | ${over} | ${ratio(samples, own, "nothing")} |`;
  });
  return [
    "## Cost per call",
    "",
    "| what is on | calls per second | server CPU µs per call | over nothing, µs | × nothing |",
    "|---|---|---|---|---|",
    ...lines,
    "",
    samples.has(BY_REDIS)
      ? "No gate."
      : "No gate. A rate limit counted by Redis is not measured: no redis-server on the PATH.",
  ].join("\n");
}

/** A table of what rejections cost, and what came of their gate. */
export function rejectionCosts(samples: Samples): string {
  const lines = [...samples].map(
    ([name, own]) => `| ${rejections[name]?.title} | ${figures(own)} | ${ratio(samples, own, WORK)} |`,
  );
  const gates = [...samples].filter(([name]) => rejections[name]?.gated).map(([name, own]) => gate(name, own, samples));
  return [
    "## Cost per rejection",
    "",
    "| how calls are answered | calls per second | server CPU µs per call | × OK, after 1 ms of work |",
    "|---|---|---|---|",
    ...lines,
    "",
    ...gates,
    "",
    "The others have no gate. They need a call of grpc-js's, which by itself is about a tenth of one that does 1 ms of work; what is shed does without. A signature costs what it costs, whether it is found good or not.",
  ].join("\n");
}

function gate(name: string, own: readonly ServedSample[], samples: Samples): string {
  const found = median(ratios(samples, own, WORK));
  const verdict = found <= MOST ? "pass" : "FAIL";
  return `- ${verdict}: ${rejections[name]?.title}: ${found.toFixed(3)}× a call that does 1 ms of work, at most ${MOST}`;
}

function figures(own: readonly ServedSample[]): string {
  const perSecond = Math.round(median(own.map((sample) => sample.perSecond))).toLocaleString("en");
  return `${perSecond} | ${median(own.map(({ serverMicros }) => serverMicros)).toFixed(1)}`;
}

function ratio(samples: Samples, own: readonly ServedSample[], base: string): string {
  const all = ratios(samples, own, base);
  return `${median(all).toFixed(3)} (${quantile(all, 0.25).toFixed(3)}–${quantile(all, 0.75).toFixed(3)})`;
}

function ratios(samples: Samples, own: readonly ServedSample[], base: string): number[] {
  return compared(samples, own, base, (a, b) => a / b);
}

/** A variant's server against another's, round by round. */
function compared(
  samples: Samples,
  own: readonly ServedSample[],
  base: string,
  compare: (own: number, base: number) => number,
): number[] {
  const others = samples.get(base) ?? [];
  return own.map(({ serverMicros }, round) => compare(serverMicros, others[round]?.serverMicros ?? Number.NaN));
}
