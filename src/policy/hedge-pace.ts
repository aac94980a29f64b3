import type { Clock } from "../core/clock.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import { RetryBudget } from "./retry-budget.ts";

/** What a hedge waits for: as long as this share of the attempts takes ("The Tail at Scale", CACM 2013). */
const SHARE = 0.95;

/** Hedges as a share of the calls: what is slower than the percentile, and no more when everything is slow. */
const EXTRA_LOAD = 0.05;

/** With fewer attempts in the window nothing is known. */
const MIN_SAMPLES = 100;

/** How far back attempts count, in milliseconds (Finagle). */
const WINDOW_MS = 30_000;

/** How far back calls and hedges count for the extra load, in milliseconds (Finagle). */
const LOAD_WINDOW_MS = 10_000;

/** How long an estimate holds, in milliseconds. */
const REFRESH_MS = 1_000;

/**
 * How long a method's calls wait before they are hedged: the 95th percentile of its attempts in the last 30 s, once
 * there are 100 of them, at least 1 ms; and how many may be, which is a twentieth of its calls (Finagle's
 * BackupRequestFilter; a fixed delay alone brings down a target that becomes slow).
 */
export class HedgePace {
  readonly #clock: Pick<Clock, "now">;
  readonly #latencies = new LatencyHistogram(WINDOW_MS);
  readonly #load: RetryBudget;
  #delayMs: number | undefined;
  /** Until when the estimate holds. */
  #freshUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
    // None whatever the share: where calls are rare, hedges are of no use.
    this.#load = new RetryBudget({ ratio: EXTRA_LOAD, windowMs: LOAD_WINDOW_MS, minInFlight: 0 }, clock);
  }

  /**
   * A call began.
   *
   * @returns how long it waits for an answer before it is hedged, in milliseconds; Infinity while too little is known.
   */
  call(now: number): number {
    this.#load.call(now);
    return this.#estimate(now) ?? Number.POSITIVE_INFINITY;
  }

  /**
   * An attempt was answered or ran out of time; or lost against another one, after so long that it was slow in any
   * case. What fails is not slow, and would make the percentile too low.
   */
  record(tookMs: number): void {
    this.#latencies.record(tookMs, this.#clock.now());
  }

  /** Whether one more hedge is within the extra load; if so, it counts. */
  tryHedge(): boolean {
    const permit = this.#load.tryAcquire();
    permit?.release();
    return permit !== undefined;
  }

  #estimate(now: number): number | undefined {
    if (this.#delayMs !== undefined && now < this.#freshUntil) return this.#delayMs;
    const known = this.#latencies.count(now) >= MIN_SAMPLES;
    this.#delayMs = known ? this.#latencies.percentile(SHARE, now) : undefined;
    this.#freshUntil = now + REFRESH_MS;
    return this.#delayMs;
  }
}
