import type { Clock } from "../core/clock.ts";

/** What a check stands at: no run of it has ended yet, it passes, or it fails. */
export type CheckStatus = "pending" | "passing" | "failing";

/** When a check runs, and what its runs come to. */
export interface CheckTerms {
  /** How long after one run has ended the next may begin, in milliseconds. */
  readonly intervalMs: number;
  /** How many runs in a row must fail before a check that has passed counts as failing. */
  readonly failureThreshold: number;
  /** Whether it runs only when somebody wants it, and not whenever its interval is over. */
  readonly onDemand: boolean;
}

/** What a check stands at, and its last run. */
export interface CheckSnapshot {
  readonly status: CheckStatus;
  /** Whether it has ever passed. */
  readonly everPassed: boolean;
  /** How long the last run took, in milliseconds; undefined before the first has ended. */
  readonly durationMs: number | undefined;
  /** How long ago the last run ended, in milliseconds; undefined before the first has ended. */
  readonly ageMs: number | undefined;
  /** Why the last run failed; undefined if it passed. */
  readonly failure: string | undefined;
  /** How many runs that were given up go on: three at most, since older ones are no longer counted. */
  readonly hanging: number;
}

/** Leave to run a check. What it is told first counts; the methods return whether it did. */
export interface CheckRun<Check> {
  readonly check: Check;
  pass(): boolean;
  fail(why: string): boolean;
  /**
   * The run takes too long: it counts as failed, and others may begin, as long as no more than three of its check hang.
   * It is to be told `pass` or `fail` all the same when the run does end: that result is dropped, yet the run hangs no
   * longer.
   */
  giveUp(why: string): boolean;
}

/**
 * While so many runs of a check hang no further one begins: a check that never looks at its signal is not to take all
 * of a pool's connections.
 */
const MOST_HANGING = 3;

/**
 * After so long, in milliseconds, one begins all the same, and the oldest of those that hang is no longer counted: of
 * runs that hang for ever nobody would learn that all is well again.
 */
const LONGEST_WAIT_MS = 60_000;

/**
 * Runs checks: each at most once per interval and one run of it at a time, and no more than a bound altogether. Those
 * on demand have as many places of their own: whoever asks for them does not keep those waiting that run by themselves.
 */
export class HealthChecks<Check extends CheckTerms> {
  readonly #maxConcurrent: number;
  readonly #clock: Pick<Clock, "now">;
  readonly #states = new Map<Check, CheckState>();
  /** How many runs have a place. */
  readonly #underWay = { byItself: 0, onDemand: 0 };

  /** @param maxConcurrent how many checks that run by themselves may run at a time, and how many on demand. */
  constructor(maxConcurrent: number, clock: Pick<Clock, "now">) {
    this.#maxConcurrent = maxConcurrent;
    this.#clock = clock;
  }

  add(check: Check): void {
    this.#states.set(check, new CheckState(check));
  }

  /**
   * Somebody wants to know what a check stands at now.
   *
   * @returns whether a run that will tell is under way or waits for its turn; false if the last result still holds.
   */
  want(check: Check): boolean {
    return this.#states.get(check)?.want(this.#clock.now()) ?? false;
  }

  /**
   * Leave to run the check that has been due for longest; undefined if none is, or if too many run. Each place is given
   * back when its run ends or is given up, so that what is due waits at most for the longest run that there may be, once
   * for every `maxConcurrent` other checks of its kind.
   */
  tryBegin(): CheckRun<Check> | undefined {
    const now = this.#clock.now();
    const next = this.#next();
    if (!next || next.state.dueAt > now) return undefined;
    this.#underWay[kindOf(next.check)] += 1;
    next.state.begin();
    return this.#run(next.check, next.state, now);
  }

  /** In how many milliseconds a check is due; 0 if one is, Infinity if first something else must happen. */
  wakeInMs(): number {
    return Math.max(0, (this.#next()?.state.dueAt ?? Number.POSITIVE_INFINITY) - this.#clock.now());
  }

  /** @returns undefined for a check that was never added. */
  snapshot(check: Check): CheckSnapshot | undefined {
    return this.#states.get(check)?.snapshot(this.#clock.now());
  }

  /** The check that is due first, among those for which there is a place. */
  #next(): { readonly check: Check; readonly state: CheckState } | undefined {
    let next: { readonly check: Check; readonly state: CheckState } | undefined;
    for (const [check, state] of this.#states) {
      if (this.#underWay[kindOf(check)] >= this.#maxConcurrent) continue;
      if (state.dueAt < (next?.state.dueAt ?? Number.POSITIVE_INFINITY)) next = { check, state };
    }
    return next;
  }

  #run(check: Check, state: CheckState, since: number): CheckRun<Check> {
    let running = true;
    const end = (failure: string | undefined) => {
      if (!running) return false;
      running = false;
      const now = this.#clock.now();
      this.#underWay[kindOf(check)] -= 1;
      state.end(failure, now, now - since);
      return true;
    };
    const run: CheckRun<Check> = {
      check,
      pass: () => end(undefined) || state.hangsNoLonger(run),
      fail: (why) => end(why) || state.hangsNoLonger(run),
      giveUp: (why) => end(why) && state.hangs(run),
    };
    return run;
  }
}

function kindOf({ onDemand }: CheckTerms): "byItself" | "onDemand" {
  return onDemand ? "onDemand" : "byItself";
}

/** One check's state. */
class CheckState {
  readonly #terms: CheckTerms;
  #status: CheckStatus = "pending";
  #everPassed = false;
  #underWay = false;
  #wanted = false;
  #failures = 0;
  #last: { readonly endedAt: number; readonly durationMs: number; readonly failure: string | undefined } | undefined;
  /** Runs that were given up and go on, the oldest first. */
  readonly #hanging = new Set<object>();

  constructor(terms: CheckTerms) {
    this.#terms = terms;
  }

  get dueAt(): number {
    const waits = this.#terms.onDemand && !this.#wanted;
    return this.#underWay || waits ? Number.POSITIVE_INFINITY : this.#holdsUntil;
  }

  want(now: number): boolean {
    if (this.#underWay) return true;
    this.#wanted = now >= this.#holdsUntil;
    return this.#wanted;
  }

  begin(): void {
    this.#underWay = true;
    this.#wanted = false;
    const [oldest] = this.#hanging;
    if (oldest && this.#isFull) this.#hanging.delete(oldest);
  }

  end(failure: string | undefined, now: number, durationMs: number): void {
    this.#underWay = false;
    this.#last = { endedAt: now, durationMs, failure };
    if (failure === undefined) {
      this.#failures = 0;
      this.#everPassed = true;
      this.#status = "passing";
    } else {
      this.#failures += 1;
      if (!this.#everPassed || this.#failures >= this.#terms.failureThreshold) this.#status = "failing";
    }
  }

  /** @returns true: it has just been given up, which counts. */
  hangs(run: object): true {
    this.#hanging.add(run);
    return true;
  }

  /** @returns false: what it came to does not count. */
  hangsNoLonger(run: object): false {
    this.#hanging.delete(run);
    return false;
  }

  snapshot(now: number): CheckSnapshot {
    return {
      status: this.#status,
      everPassed: this.#everPassed,
      durationMs: this.#last?.durationMs,
      ageMs: this.#last && now - this.#last.endedAt,
      failure: this.#last?.failure,
      hanging: this.#hanging.size,
    };
  }

  /** Until when the last result holds. */
  get #holdsUntil(): number {
    if (!this.#last) return Number.NEGATIVE_INFINITY;
    const { intervalMs } = this.#terms;
    return this.#last.endedAt + (this.#isFull ? Math.max(intervalMs, LONGEST_WAIT_MS) : intervalMs);
  }

  get #isFull(): boolean {
    return this.#hanging.size >= MOST_HANGING;
  }
}
