import type { CallRecord } from "./arrivals.ts";

/** How many of the calls that came within a time, in milliseconds, were answered with OK. */
export function answered(calls: readonly CallRecord[], fromMs: number, toMs: number): number {
  return calls.filter(({ atMs, ok }) => ok && atMs >= fromMs && atMs < toMs).length;
}

/** Which share of the calls of each second were answered with OK; NaN for a second without any. */
export function sharesBySecond(calls: readonly CallRecord[], seconds: number): number[] {
  const all = new Array<number>(seconds).fill(0);
  const ok = [...all];
  for (const call of calls) {
    const second = Math.floor(call.atMs / 1_000);
    all[second] = (all[second] ?? 0) + 1;
    if (call.ok) ok[second] = (ok[second] ?? 0) + 1;
  }
  return all.map((count, second) => (ok[second] ?? 0) / count);
}

/** How many seconds in a row make up a recovery, and the share of their calls that must be answered. */
const STEADY_SECONDS = 5;
const STEADY_SHARE = 0.9;

/**
 * How many seconds after one of them it is that calls are answered again, for some seconds in a row.
 *
 * @returns undefined if they never are.
 */
export function recoveredAfter(shares: readonly number[], second: number): number | undefined {
  for (let begin = second; begin + STEADY_SECONDS <= shares.length; begin += 1) {
    const steady = shares.slice(begin, begin + STEADY_SECONDS);
    if (steady.reduce((sum, share) => sum + share, 0) / STEADY_SECONDS >= STEADY_SHARE) return begin - second;
  }
  return undefined;
}

const BARS = "▁▂▃▄▅▆▇█";

/** Shares as bars of one character each. */
export function bars(shares: readonly number[]): string {
  return shares.map((share) => BARS[Math.round(share * (BARS.length - 1))] ?? "?").join("");
}
