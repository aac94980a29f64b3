import { SlidingCounts } from "./sliding-counts.ts";

/** How many outcomes a window holds. */
export interface OutcomeCounts {
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
}

/**
 * Whether a share of calls reaches a ratio. By division, which alone is exact where a ratio has decimals: 7 of 100
 * reach 0.07, and 0.07 · 100 is more than 7. None of them reaches nothing.
 */
export function reaches(part: number, calls: number, ratio: number): boolean {
  return part > 0 && part / calls >= ratio;
}

/** The latest outcomes of calls, as a breaker looks at them. */
export interface OutcomeWindow extends OutcomeCounts {
  /** Counts one more. `calls`, `failures` and `slow` are as of then. */
  add(now: number, failed: boolean, slow: boolean): void;
  /** What it holds now; changes nothing. */
  at(now: number): OutcomeCounts;
  reset(): void;
}

const CALLS = 0;
const FAILURES = 1;
const SLOW = 2;

/** The outcomes of the last so many milliseconds, in ten slices. */
export class TimeWindow implements OutcomeWindow {
  readonly #counts: SlidingCounts;

  constructor(windowMs: number) {
    this.#counts = new SlidingCounts(windowMs, 3);
  }

  get calls(): number {
    return this.#counts.total(CALLS);
  }

  get failures(): number {
    return this.#counts.total(FAILURES);
  }

  get slow(): number {
    return this.#counts.total(SLOW);
  }

  add(now: number, failed: boolean, slow: boolean): void {
    this.#counts.advance(now);
    this.#counts.add(CALLS);
    if (failed) this.#counts.add(FAILURES);
    if (slow) this.#counts.add(SLOW);
  }

  at(now: number): OutcomeCounts {
    const total = (kind: number) => this.#counts.totalAt(kind, now);
    return { calls: total(CALLS), failures: total(FAILURES), slow: total(SLOW) };
  }

  reset(): void {
    this.#counts.reset();
  }
}

const FAILED_BIT = 1;
const SLOW_BIT = 2;

/** The outcomes of the last so many calls, none of them older than so many milliseconds. */
export class CountWindow implements OutcomeWindow {
  readonly #windowMs: number;
  readonly #times: Float64Array;
  readonly #outcomes: Uint8Array;
  /** Where the oldest stands. */
  #first = 0;
  calls = 0;
  failures = 0;
  slow = 0;

  constructor(windowCalls: number, windowMs: number) {
    this.#windowMs = windowMs;
    this.#times = new Float64Array(windowCalls);
    this.#outcomes = new Uint8Array(windowCalls);
  }

  add(now: number, failed: boolean, slow: boolean): void {
    while (this.calls > 0 && this.#isOver(this.#first, now)) this.#dropFirst();
    if (this.calls === this.#times.length) this.#dropFirst();
    const at = (this.#first + this.calls) % this.#times.length;
    this.#times[at] = now;
    this.#outcomes[at] = (failed ? FAILED_BIT : 0) | (slow ? SLOW_BIT : 0);
    this.calls += 1;
    if (failed) this.failures += 1;
    if (slow) this.slow += 1;
  }

  at(now: number): OutcomeCounts {
    const counts = { calls: 0, failures: 0, slow: 0 };
    for (let n = 0; n < this.calls; n += 1) {
      const at = (this.#first + n) % this.#times.length;
      if (this.#isOver(at, now)) continue;
      const outcome = this.#outcomes[at] ?? 0;
      counts.calls += 1;
      if (outcome & FAILED_BIT) counts.failures += 1;
      if (outcome & SLOW_BIT) counts.slow += 1;
    }
    return counts;
  }

  reset(): void {
    this.#first = 0;
    this.calls = 0;
    this.failures = 0;
    this.slow = 0;
  }

  #isOver(at: number, now: number): boolean {
    return (this.#times[at] ?? 0) <= now - this.#windowMs;
  }

  #dropFirst(): void {
    const outcome = this.#outcomes[this.#first] ?? 0;
    this.calls -= 1;
    if (outcome & FAILED_BIT) this.failures -= 1;
    if (outcome & SLOW_BIT) this.slow -= 1;
    this.#first = (this.#first + 1) % this.#times.length;
  }
}

/** A window of so many milliseconds; of no more than so many of the last calls, if that is given. */
export function outcomeWindow(windowMs: number, windowCalls?: number): OutcomeWindow {
  return windowCalls === undefined ? new TimeWindow(windowMs) : new CountWindow(windowCalls, windowMs);
}
