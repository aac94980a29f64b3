import type { Clock } from "../core/clock.ts";
import type { RecentClock } from "./recent-end.ts";

/**
 * - `closed`: calls pass, and are counted;
 * - `open`: none passes until the open time is over;
 * - `half-open`: a few pass as trials, and their outcome decides;
 * - `forced-open`: none passes until somebody says otherwise;
 * - `forced-closed`: all pass and are counted, and it never opens;
 * - `disabled`: all pass, and nothing is counted.
 */
export type BreakerState = "closed" | "open" | "half-open" | "forced-open" | "forced-closed" | "disabled";

/** Leave to make one attempt, to be given back once with its outcome; whatever comes after that does nothing. */
export interface BreakerPermit {
  readonly granted: true;
  /** Whether it is for a trial: any sign of life settles it then, since others wait for it. */
  readonly trial: boolean;
  /**
   * For how long the process has stood still since it was given, in milliseconds. That makes nothing slow, without
   * anybody's saying so.
   */
  stalledMs(): number;
  /** @param excusedMs for how long of its time it waited for something else than the target, which makes nothing slow. */
  success(excusedMs?: number): void;
  failure(excusedMs?: number): void;
  /** It says nothing about the target: it was cancelled, or never sent. */
  ignore(): void;
}

/** No leave. */
export interface BreakerRejection {
  readonly granted: false;
  readonly state: BreakerState;
  /** In how many milliseconds the next trial is due; undefined if nobody knows. */
  readonly retryAfterMs: number | undefined;
}

/** What one attempt differs in. */
export interface BreakerUse {
  /** Longer than which this one is slow, in milliseconds. Default: the breaker's own. */
  readonly slowMs?: number;
  /**
   * What a trial that is given up counts as: a stream may be silent and well. Default: `failure`.
   */
  readonly givenUp?: "failure" | "ignored";
  /** After how long this one is given up as a trial, in milliseconds. Default: the breaker's own. */
  readonly trialTimeoutMs?: number;
}

/** What a breaker asks of a clock. */
export type BreakerClock = RecentClock & Pick<Clock, "stalledMs">;

/** Takes a permit back. @param at when, if that was not just now. */
export type SettlePermit = (
  permit: Permit,
  outcome: "success" | "failure" | "ignored",
  excusedMs: number,
  at?: number,
) => void;

/** A permit, with what its breaker notes about it. */
export class Permit implements BreakerPermit {
  readonly granted = true;
  trial = false;
  settled = false;
  /** Of the breaker's states, which one gave it. */
  readonly generation: number;
  readonly since: number;
  readonly use: BreakerUse;
  readonly #settle: SettlePermit;
  readonly #clock: BreakerClock;
  readonly #stalledBefore: number;
  readonly #trialTimeoutMs: number;

  constructor(
    settle: SettlePermit,
    clock: BreakerClock,
    generation: number,
    since: number,
    use: BreakerUse,
    trialTimeoutMs: number,
  ) {
    this.#settle = settle;
    this.#clock = clock;
    this.#stalledBefore = clock.stalledMs?.(since) ?? 0;
    this.generation = generation;
    this.since = since;
    this.use = use;
    this.#trialTimeoutMs = use.trialTimeoutMs ?? trialTimeoutMs;
  }

  /** When it is given up, if it is a trial. */
  get until(): number {
    return this.since + this.#trialTimeoutMs;
  }

  stalledMs(): number {
    return (this.#clock.stalledMs?.() ?? 0) - this.#stalledBefore;
  }

  success(excusedMs = 0): void {
    this.#settle(this, "success", excusedMs);
  }

  failure(excusedMs = 0): void {
    this.#settle(this, "failure", excusedMs);
  }

  ignore(): void {
    this.#settle(this, "ignored", 0);
  }
}
