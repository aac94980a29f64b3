import { SlidingCounts } from "./sliding-counts.ts";

/**
 * How much may be added to a load: each so many calls earn one that may be added, and what they earned is kept for as
 * long as they count. So it never adds up to more than its share, and after a quiet time to twice of it within a window.
 *
 * A share of what a window holds, as the retry budget is, does not do where about as much is wanted as is allowed, as by
 * hedges after the percentile that leaves as many: what one burst has spent counts until the window has passed it, and
 * what quiet times leave is lost, so that the slowest calls go without although less is added than may be.
 */
export class ExtraLoad {
  readonly #callsEach: number;
  readonly #calls: SlidingCounts;
  /** Calls whose share has not been spent; some of them may not count any more. */
  #unspent = 0;

  /**
   * @param callsEach how many calls earn one.
   * @param windowMs how far back calls count, in milliseconds.
   */
  constructor(callsEach: number, windowMs: number) {
    this.#callsEach = callsEach;
    this.#calls = new SlidingCounts(windowMs, 1);
  }

  /** A call began. */
  call(now: number): void {
    this.#calls.advance(now);
    this.#calls.add(0);
    this.#unspent += 1;
  }

  /** Whether one more may be added; if so, it is spent. */
  trySpend(now: number): boolean {
    this.#calls.advance(now);
    this.#unspent = Math.min(this.#unspent, this.#calls.total(0));
    if (this.#unspent < this.#callsEach) return false;
    this.#unspent -= this.#callsEach;
    return true;
  }
}
