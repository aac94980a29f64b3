import { type OutcomeCounts, reaches } from "./outcome-window.ts";

/** When trials open or close a breaker. */
export interface TrialOptions {
  /** How many decide, and how many of them may be under way at a time. */
  readonly trials: number;
  /** Share of failed ones at which it opens. */
  readonly failureRatio: number;
  /** Share of slow ones at which it opens. */
  readonly slowRatio: number;
  /** After how long one is given up, in milliseconds, unless it says so itself. */
  readonly trialTimeoutMs: number;
}

/** One trial under way. */
interface Trial {
  /** When it began. */
  readonly since: number;
  /** When it is given up, if the process has not stood still meanwhile. */
  readonly until: number;
  /** For how long the process has stood still since it began, in milliseconds: no answer could be heard then. */
  stalledMs(): number;
}

/** The trials of a breaker that is half-open (rule B4). */
export class Trials<T extends Trial> {
  readonly #options: TrialOptions;
  readonly #underWay = new Set<T>();
  #calls = 0;
  #failures = 0;
  #slow = 0;

  constructor(options: TrialOptions) {
    this.#options = options;
  }

  /** How many are under way. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** What those that have ended came to. */
  get results(): OutcomeCounts {
    return { calls: this.#calls, failures: this.#failures, slow: this.#slow };
  }

  /** Whether there is room for another: no more are let through than can decide. */
  get hasRoom(): boolean {
    return this.#underWay.size + this.#calls < this.#options.trials;
  }

  begin(trial: T): void {
    this.#underWay.add(trial);
  }

  /** Frees a trial's place, without a result. */
  remove(trial: T): void {
    this.#underWay.delete(trial);
  }

  /** The trials that hang: they began too long ago. */
  hanging(now: number): T[] {
    return [...this.#underWay].filter((trial) => now >= endOf(trial));
  }

  /** In how many milliseconds there is room, at the latest; 0 if there is some. */
  freeAfterMs(now: number): number {
    if (this.hasRoom || this.#underWay.size === 0) return 0;
    // Not that of the oldest: methods that share a breaker may give each of their trials another time.
    let first = Number.POSITIVE_INFINITY;
    for (const trial of this.#underWay) first = Math.min(first, endOf(trial));
    return Math.max(0, first - now);
  }

  /** Counts a result, and decides as soon as those that are still to come cannot change it. */
  add(failed: boolean, slow: boolean): "open" | "close" | undefined {
    const { trials, failureRatio, slowRatio } = this.#options;
    this.#calls += 1;
    if (failed) this.#failures += 1;
    if (slow) this.#slow += 1;
    const opensWith = (toCome: number) =>
      reaches(this.#failures + toCome, trials, failureRatio) || reaches(this.#slow + toCome, trials, slowRatio);
    if (opensWith(0)) return "open";
    return opensWith(trials - this.#calls) ? undefined : "close";
  }

  reset(): void {
    this.#underWay.clear();
    this.#calls = 0;
    this.#failures = 0;
    this.#slow = 0;
  }
}

/**
 * When a trial is given up: later by what the process stood still meanwhile, but by no more than as much time again. An
 * event loop that always lags counts as standing still for most of the time, and others wait for the trial's place.
 */
export function endOf(trial: Trial): number {
  const { since, until } = trial;
  return until + Math.min(trial.stalledMs(), until - since);
}
