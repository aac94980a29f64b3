import type { Clock } from "../core/clock.ts";
import { ExtraLoad } from "./extra-load.ts";
import { LatencyHistogram } from "./latency-histogram.ts";

/** What a hedge waits for: as long as this share of the attempts takes ("The Tail at Scale", CACM 2013). */
const SHARE = 0.95;

/** How many calls earn a hedge: as many as leave one that is slower than the percentile. */
const CALLS_EACH = 20;

/** With fewer attempts in the window nothing is known. */
const MIN_SAMPLES = 100;

/** How far back attempts count, in milliseconds (Finagle). */
const WINDOW_MS = 30_000;

/** How far back calls earn hedges, in milliseconds (Finagle). */
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
  /** Where calls are rare there is none: hedges are of no use then. */
  readonly #load = new ExtraLoad(CALLS_EACH, LOAD_WINDOW_MS);
  #delayMs: number | undefined;
  /** Until when the estimate holds. */
  #freshUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
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
    return this.#load.trySpend(this.#clock.now());
  }

  #estimate(now: number): number | undefined {
    if (this.#delayMs !== undefined && now < this.#freshUntil) return this.#delayMs;
    const known = this.#latencies.count(now) >= MIN_SAMPLES;
    this.#delayMs = known ? this.#latencies.percentile(SHARE, now) : undefined;
    this.#freshUntil = now + REFRESH_MS;
    return this.#delayMs;
  }
}
