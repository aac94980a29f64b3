import { quantile } from "../median.ts";
import { HEDGING_SCALE, type HedgingRun, hedged, plain, SERVERS, WORKERS_EACH } from "./hedging.ts";
import type { Measured, Outcome } from "./pair.ts";
import { type Section, table } from "./section.ts";

/** What of the unhedged p99.9 may be left, and at how many attempts per call. */
const MOST_LEFT = 0.35;
const MOST_ATTEMPTS = 1.06;

const SHARES = [0.5, 0.95, 0.99, 0.999] as const;

const HEAD = ["", "p50", "p95", "p99", "p99.9", "attempts per call", "not answered", "reference: p99 / p99.9", "load"];

/** What hedging leaves of the slowest calls. */
export function hedgingSection(measured: readonly Measured<HedgingRun>[]): Section {
  const outcomeOf = (run: HedgingRun) => measured.find((one) => one.run === run)?.outcome;
  const [once, twice] = [outcomeOf(plain), outcomeOf(hedged)];
  if (!once || !twice) throw new Error("both are measured, or neither");
  const left = slowest(twice) / slowest(once);
  const attempts = twice.attemptsPerCall;
  return {
    text: `${text(once.calls.length)}\n\n${table([HEAD, ...measured.map(cells)])}`,
    gates: [
      {
        passes: left <= MOST_LEFT,
        text: `hedged p99.9 ${left.toFixed(2)}× that of calls sent once, at most ${MOST_LEFT}`,
      },
      { passes: attempts <= MOST_ATTEMPTS, text: `${attempts.toFixed(3)} attempts per call, at most ${MOST_ATTEMPTS}` },
    ],
  };
}

function cells({ run, outcome }: Measured<HedgingRun>): string[] {
  const failed = outcome.calls.filter(({ ok }) => !ok).length;
  const times = SHARES.map((share) => `${Math.round(tookAt(outcome, share) / HEDGING_SCALE)} ms`);
  return [run.title, ...times, outcome.attemptsPerCall.toFixed(3), String(failed), ...run.reference];
}

function slowest(outcome: Outcome): number {
  return tookAt(outcome, 0.999);
}

/** Failed calls took as long as they took: to leave them out would make a client look fast that gives up. */
function tookAt({ calls }: Outcome, share: number): number {
  return quantile(
    calls.map(({ tookMs }) => tookMs),
    share,
  );
}

function text(calls: number): string {
  const { load } = plain;
  return `## The slowest calls, hedged

${calls.toLocaleString("en")} calls, ${Math.round(load.perSecond)} per second, to ${SERVERS} servers of ${WORKERS_EACH} workers each, on ports of their own, taken in turn (\`round_robin\`):
a hedge goes to another server. Their load is 0.6; work takes ${5 * HEDGING_SCALE} ms on average, and 0.5 % of it ${(200 * HEDGING_SCALE) / 1_000} s longer, ${HEDGING_SCALE} times the
reference's, which has 20 servers; times are divided by ${HEDGING_SCALE}. An attempt that is cancelled leaves its queue, and what has begun is
done to its end. Hedged by the defaults: after the method's 95th percentile, at most one call in twenty.`;
}
