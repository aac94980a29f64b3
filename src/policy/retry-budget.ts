import type { Clock } from "../core/clock.ts";
import { SlidingCounts } from "./sliding-counts.ts";

/** How many extra attempts a target may cause. */
export interface RetryBudgetOptions {
  /** Extra attempts as a share of the calls in the window. */
  readonly ratio: number;
  /** How far back calls and extra attempts count, in milliseconds. */
  readonly windowMs: number;
  /**
   * Extra attempts under way that are allowed whatever the share, so that rare calls may be retried too. Each counts
   * for no longer than the window.
   */
  readonly minInFlight: number;
}

/** What a budget stands at. */
export interface RetryBudgetSnapshot {
  readonly calls: number;
  readonly extraAttempts: number;
  readonly inFlight: number;
}

/** Leave for one extra attempt. */
export interface BudgetPermit {
  /** The attempt is over, or will not be made. Once; further calls do nothing. */
  release(): void;
}

const CALLS = 0;
const EXTRA = 1;

/**
 * The retry budget of a target (rule R11, after Finagle's RetryBudget and failsafe-go's): retries and hedges
 * together may be a share of its calls, and never make a call wait. The throttle stops retries while a target fails;
 * this bounds them while it is overloaded and fails now and then.
 */
export class RetryBudget {
  #options: RetryBudgetOptions;
  readonly #clock: Pick<Clock, "now">;
  #counts: SlidingCounts;
  /** When each that is under way began, oldest first. */
  readonly #inFlight = new Set<{ readonly since: number }>();

  constructor(options: RetryBudgetOptions, clock: Pick<Clock, "now">) {
    this.#options = options;
    this.#clock = clock;
    this.#counts = new SlidingCounts(options.windowMs, 2);
  }

  /** Goes by other options from here on. In a window of another length, it counts anew; what is under way stays so. */
  adjust(options: RetryBudgetOptions): void {
    if (options.windowMs !== this.#options.windowMs) this.#counts = new SlidingCounts(options.windowMs, 2);
    this.#options = options;
  }

  /** A call began. @param now if that has been looked at already. */
  call(now: number = this.#clock.now()): void {
    this.#counts.advance(now);
    this.#counts.add(CALLS);
  }

  /** Leave for one extra attempt; undefined if there is none left. */
  tryAcquire(): BudgetPermit | undefined {
    const counts = this.#counts;
    const now = this.#clock.now();
    counts.advance(now);
    const { ratio, minInFlight } = this.#options;
    for (const permit of this.#inFlight) if (this.#isOver(permit, now)) this.#inFlight.delete(permit);
    // By division, which alone is exact where a ratio has decimals: 0.29 · 100 is less than 29.
    if (this.#inFlight.size >= minInFlight && (counts.total(EXTRA) + 1) / counts.total(CALLS) > ratio) return undefined;
    counts.add(EXTRA);
    const permit = { since: now, release: () => void this.#inFlight.delete(permit) };
    this.#inFlight.add(permit);
    return permit;
  }

  snapshot(): RetryBudgetSnapshot {
    const now = this.#clock.now();
    const calls = this.#counts.totalAt(CALLS, now);
    const inFlight = [...this.#inFlight].filter((permit) => !this.#isOver(permit, now)).length;
    return { calls, extraAttempts: this.#counts.totalAt(EXTRA, now), inFlight };
  }

  /** A stream that stays open and quiet, or a long wait, counts as under way for no longer than in the window. */
  #isOver({ since }: { readonly since: number }, now: number): boolean {
    return now - since >= this.#options.windowMs;
  }
}
