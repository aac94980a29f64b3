import type { Amplification, StrategyName } from "./amplification.ts";

/** What came of each strategy, by the share of attempts that fail. */
export type Amplifications = ReadonlyMap<number, ReadonlyMap<StrategyName, Amplification>>;

const TITLES: Record<StrategyName, string> = {
  none: "no retries",
  unlimited: "3 attempts, no limits",
  retry: "ours: retry",
  retryAndBreaker: "ours: retry and breaker",
};

/** Marc Brooker's simulation of the same load, by the share of attempts that fail, as percentages. */
const REFERENCE: Readonly<Record<number, readonly string[]>> = {
  10: [".900 / 1.00", "1.000 / 1.11", ".989 / 1.10", ".927 / 1.03"],
  50: [".503 / 1.00", ".939 / 1.87", ".558 / 1.12", ".500 / 1.00"],
};
const REFERENCE_TITLES = ["none", "3 retries", "token bucket", "breaker at 10 %"];

/** Attempts per call that a target which fails altogether may cause, to two decimals. */
const MOST_AT_ALL = 1;

/** Which share of the successes a breaker leaves that opens at half, where one attempt in ten fails. */
const LEAST_PASSED = 0.99;

/** A table of what retries add to a target's load, and what came of the gate. */
export function amplificationSection(results: Amplifications): string {
  const strategies = Object.keys(TITLES) as StrategyName[];
  const head = [...strategies.map((name) => TITLES[name]), ...REFERENCE_TITLES.map((title) => `reference: ${title}`)];
  const lines = [...results].map(([failureRatio, row]) => {
    const percent = Math.round(failureRatio * 100);
    const own = strategies.map((name) => cell(row.get(name)));
    return `| ${[`${percent} %`, ...own, ...(REFERENCE[percent] ?? REFERENCE_TITLES.map(() => ""))].join(" | ")} |`;
  });
  const rule = `|${"---|".repeat(head.length + 1)}`;
  const loads = results.get(1)?.get("retry")?.attemptsPerCall ?? Number.NaN;
  const few = results.get(0.1);
  const passed = (few?.get("retryAndBreaker")?.successShare ?? 0) / (few?.get("retry")?.successShare ?? 0);
  return `## Load while attempts fail

Share of calls that succeed / attempts per call, of 100 clients with 10 calls per second each, on a virtual clock, once
their throttles have settled; each attempt fails by chance. Ours runs a client's own layers with every default: three
attempts, retry throttle and retry budget; in the last of its columns the breaker too, which rejects most calls while it
is open. The reference is Marc Brooker's simulation of the same load; its 3 retries are 4 attempts.

| fail | ${head.join(" | ")} |
${rule}
${lines.join("\n")}

- ${verdict(Number(loads.toFixed(2)) <= MOST_AT_ALL)}: ${TITLES.retry} ${loads.toFixed(2)} attempts per call where all fail, at most ${MOST_AT_ALL.toFixed(2)}
- ${verdict(passed >= LEAST_PASSED)}: ${TITLES.retryAndBreaker} ${passed.toFixed(2)} of the successes without the breaker where 10 % fail, at least ${LEAST_PASSED.toFixed(2)}`;
}

function verdict(passes: boolean): string {
  return passes ? "pass" : "FAIL";
}

function cell(result: Amplification | undefined): string {
  if (!result) return "";
  const share = result.successShare.toFixed(3).replace(/^0/, "");
  return `${share} / ${result.attemptsPerCall.toFixed(2)}`;
}
