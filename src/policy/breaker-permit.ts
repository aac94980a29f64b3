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
  /** @param excusedMs for how long of its time the process stood still, which makes nothing slow. */
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
