import { bars, recoveredAfter, sharesBySecond } from "./figures.ts";
import { AFTER_SECONDS, METASTABILITY_SCALE, type MetastabilityRun, trigger } from "./metastability.ts";
import type { Measured } from "./pair.ts";
import { type Gate, type Section, table } from "./section.ts";

/** How many seconds after the trigger's end the defaults must be back. */
const MOST_SECONDS = 15;

/** The last seconds, in which the reference looks. */
const LAST_SECONDS = 10;

const HEAD = [
  "",
  "answered before",
  `in the last ${LAST_SECONDS} s`,
  "back after",
  "attempts per call",
  "reference",
  "goodput / capacity, 55–65 s later",
];

/** What is left of a load when what overloaded its server has passed. */
export function metastabilitySection(measured: readonly Measured<MetastabilityRun>[]): Section {
  const found = measured.map(summary);
  const rows = found.map(({ cells }) => cells);
  const series = found.map(({ title, shares }) => `${bars(shares)}  ${title}`);
  const marked = " ".repeat(trigger.afterSeconds) + "x".repeat(trigger.seconds);
  const pictures = ["```text", `${marked}  ten times slower`, ...series, "```"].join("\n");
  return { text: [text(), pictures, table([HEAD, ...rows])].join("\n\n"), gates: found.flatMap(gate) };
}

interface Summary {
  readonly title: string;
  readonly shares: readonly number[];
  readonly back: number | undefined;
  readonly cells: readonly string[];
  readonly wanted: MetastabilityRun["gate"];
}

function summary({ run, outcome }: Measured<MetastabilityRun>): Summary {
  const { calls, attemptsPerCall } = outcome;
  const shares = sharesBySecond(calls, run.load.seconds);
  const back = recoveredAfter(shares, trigger.afterSeconds + trigger.seconds);
  const [title = "", goodput = ""] = run.reference ?? [];
  const cells = [
    run.title,
    percent(shares.slice(0, trigger.afterSeconds)),
    percent(shares.slice(-LAST_SECONDS)),
    back === undefined ? "never" : `${back} s`,
    attemptsPerCall.toFixed(2),
    title,
    goodput,
  ];
  return { title: run.title, shares, back, cells, wanted: run.gate };
}

function gate({ title, back, wanted }: Summary): Gate[] {
  if (!wanted) return [];
  const when = back === undefined ? "never back" : `back after ${back} s`;
  if (wanted === "never")
    return [{ passes: back === undefined, text: `${title}: ${when}, to show that there is a trap` }];
  return [{ passes: (back ?? Infinity) <= MOST_SECONDS, text: `${title}: ${when}, at most ${MOST_SECONDS} s` }];
}

function percent(shares: readonly number[]): string {
  return `${Math.round((shares.reduce((sum, share) => sum + share, 0) / shares.length) * 100)} %`;
}

function text(): string {
  return `## Coming back from an overload

A load of 0.7 on 10 workers, whose work takes ten times as long for ${trigger.seconds} s. Each bar is the share of a second's calls
that are answered. Back is when 90 % are, for 5 s. Work takes ${10 * METASTABILITY_SCALE} ms on average, an attempt may take ${50 * METASTABILITY_SCALE} ms and a
call ${(200 * METASTABILITY_SCALE) / 1_000} s, ${METASTABILITY_SCALE} times the reference's, which leaves 70 calls per second; the trigger and the ${AFTER_SECONDS} s after it are as long as
there. Ours has every default besides: three attempts, retry throttle, retry budget.`;
}
