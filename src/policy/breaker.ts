import type { Random } from "../core/random.ts";
import {
  type BreakerClock,
  type BreakerPermit,
  type BreakerRejection,
  type BreakerState,
  type BreakerUse,
  Permit,
  type SettlePermit,
} from "./breaker-permit.ts";
import { type OutcomeCounts, type OutcomeWindow, outcomeWindow, reaches } from "./outcome-window.ts";
import { recentEnd } from "./recent-end.ts";
import { endOf, type TrialOptions, Trials } from "./trials.ts";

/** When a breaker opens and closes. */
export interface BreakerOptions extends TrialOptions {
  /** Longer than which a call is slow, in milliseconds; Infinity for never. */
  readonly slowMs: number;
  /** How far back calls count, in milliseconds. */
  readonly windowMs: number;
  /** If given, no more than so many of the last calls count. */
  readonly windowCalls: number | undefined;
  /** With fewer calls in the window it stays closed. */
  readonly minimumCalls: number;
  /** How long it stays open the first time, in milliseconds; doubled each time its trials fail, ±20 %. */
  readonly openMs: number;
  /** Bound of the open time, in milliseconds, before the ±20 %. */
  readonly maxOpenMs: number;
}

/** What a breaker stands at. */
export interface BreakerSnapshot {
  readonly state: BreakerState;
  /** In the window, or among the trials while half-open. */
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
  readonly failureRatio: number;
  readonly slowRatio: number;
  /** Trials under way. */
  readonly trials: number;
  /** Calls that it has rejected since it last opened, by itself or by hand; none after `reset`. */
  readonly rejected: number;
  /** While open: in how many milliseconds the next trial is due. */
  readonly retryAfterMs: number | undefined;
}

/** A change of state, with what the breaker stood at. */
export interface BreakerTransition {
  readonly from: BreakerState;
  readonly to: BreakerState;
  readonly calls: number;
  readonly failures: number;
  readonly slow: number;
  /** With `open`: for how many milliseconds. */
  readonly openMs?: number;
}

const NO_USE: BreakerUse = Object.freeze({});

/** A permit of a disabled breaker. */
const FREE: BreakerPermit = {
  granted: true,
  trial: false,
  stalledMs: () => 0,
  success() {},
  failure() {},
  ignore() {},
};

/**
 * A circuit breaker in resilience4j's terms (rules B1 to B6). It holds no timer: what time has brought about shows
 * when the next call asks.
 */
export class Breaker {
  #options: BreakerOptions;
  readonly #clock: BreakerClock;
  readonly #random: Random;
  readonly #onTransition: ((transition: BreakerTransition) => void) | undefined;
  #window: OutcomeWindow;
  #state: BreakerState = "closed";
  /** Grows with each change of state: a result of an earlier one is dropped (rule B6). */
  #generation = 0;
  /** How often in a row it has opened. */
  #openings = 0;
  #openUntil = 0;
  #rejected = 0;
  #trials: Trials<Permit>;

  constructor(
    options: BreakerOptions,
    clock: BreakerClock,
    random: Random,
    onTransition?: (transition: BreakerTransition) => void,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#onTransition = onTransition;
    this.#window = outcomeWindow(options.windowMs, options.windowCalls);
    this.#trials = new Trials(options);
  }

  /** Leave to make an attempt now, or the reason why not. @param now if that has been looked at already. */
  tryAcquire(use: BreakerUse = NO_USE, now: number = this.#clock.now()): BreakerPermit | BreakerRejection {
    if (this.#state === "closed" || this.#state === "forced-closed") return this.#permit(now, use);
    if (this.#state === "disabled") return FREE;
    if (this.#state === "open" && now >= this.#openUntil) {
      this.#move("half-open");
      // Whoever was told of it may have moved it on.
      return this.tryAcquire(use, now);
    }
    if (this.#state === "half-open") {
      // One that hangs must not wedge the breaker (rule B4); what it counts as may open or close it.
      for (const trial of this.#trials.hanging(now)) this.#giveUp(trial);
      if (this.#state !== "half-open") return this.tryAcquire(use, now);
      if (this.#trials.hasRoom) {
        const permit = this.#permit(now, use);
        permit.trial = true;
        this.#trials.begin(permit);
        return permit;
      }
    }
    this.#rejected += 1;
    return { granted: false, state: this.#state, retryAfterMs: this.#retryAfterMs(now) };
  }

  /** What it stands at; changes nothing. An open time that is over shows when the next call asks. */
  snapshot(): BreakerSnapshot {
    const now = this.#clock.now();
    const { calls, failures, slow } = this.#countsAt(now);
    return {
      ...{ state: this.#state, calls, failures, slow },
      ...{ failureRatio: ratio(failures, calls), slowRatio: ratio(slow, calls) },
      ...{ trials: this.#trials.underWay, rejected: this.#rejected, retryAfterMs: this.#retryAfterMs(now) },
    };
  }

  /** Lets nothing pass until `reset`, or another of these. */
  forceOpen(): void {
    this.#move("forced-open");
  }

  /** Lets everything pass and goes on counting, until `reset`, or another of these. */
  forceClosed(): void {
    this.#move("forced-closed");
  }

  /** Lets everything pass and counts nothing, until `reset`, or another of these. */
  disable(): void {
    this.#move("disabled");
  }

  /** Closes it, and forgets everything. */
  reset(): void {
    this.#rejected = 0;
    this.#close();
  }

  /**
   * Goes by other options from here on: it closes, unless it was forced or disabled, and forgets what was counted. What
   * is under way counts for nothing any more (rule B6).
   */
  adjust(options: BreakerOptions): void {
    this.#options = options;
    this.#openings = 0;
    const byItself = this.#state === "open" || this.#state === "half-open";
    this.#move(byItself ? "closed" : this.#state);
    this.#window = outcomeWindow(options.windowMs, options.windowCalls);
    this.#trials = new Trials(options);
  }

  /** It was given up when its time was over, however late anybody asks. */
  #giveUp(trial: Permit): void {
    this.#settle(trial, trial.use.givenUp ?? "failure", 0, endOf(trial));
  }

  #permit(now: number, use: BreakerUse): Permit {
    return new Permit(this.#settle, this.#clock, this.#generation, now, use, this.#options.trialTimeoutMs);
  }

  readonly #settle: SettlePermit = (permit, outcome, excusedMs, at) => {
    if (permit.settled) return;
    permit.settled = true;
    if (permit.generation !== this.#generation) return;
    const isTrial = this.#state === "half-open";
    if (isTrial) this.#trials.remove(permit);
    if (outcome === "ignored") return;
    const { since, use } = permit;
    const slowMs = use.slowMs ?? this.#options.slowMs;
    const now = at ?? (outcome === "success" ? recentEnd(this.#clock, since, slowMs) : this.#clock.now());
    const tookMs = now - since - excusedMs;
    const slow = tookMs > slowMs && tookMs - permit.stalledMs() > slowMs;
    if (isTrial) this.#judgeTrials(now, outcome === "failure", slow);
    else this.#judgeWindow(now, outcome === "failure", slow);
  };

  #judgeWindow(now: number, failed: boolean, wasSlow: boolean): void {
    const { minimumCalls, failureRatio, slowRatio } = this.#options;
    this.#window.add(now, failed, wasSlow);
    const { calls, failures, slow } = this.#window;
    if (this.#state !== "closed" || calls < minimumCalls) return;
    if (reaches(failures, calls, failureRatio) || reaches(slow, calls, slowRatio)) this.#open(now);
  }

  #judgeTrials(now: number, failed: boolean, slow: boolean): void {
    const decision = this.#trials.add(failed, slow);
    if (decision === "open") this.#open(now);
    else if (decision === "close") this.#close();
  }

  #open(now: number): void {
    const { openMs, maxOpenMs } = this.#options;
    const lastsMs = Math.min(openMs * 2 ** this.#openings, maxOpenMs) * (0.8 + 0.4 * this.#random());
    this.#openings += 1;
    this.#openUntil = now + lastsMs;
    this.#move("open", lastsMs);
  }

  #close(): void {
    this.#openings = 0;
    this.#move("closed");
  }

  #move(to: BreakerState, openMs?: number): void {
    const from = this.#state;
    const { calls, failures, slow } = this.#countsAt(this.#clock.now());
    this.#state = to;
    this.#generation += 1;
    this.#trials.reset();
    if (to === "half-open" || to === "closed") this.#window.reset();
    if (from === to) return;
    if (to === "open" || to === "forced-open") this.#rejected = 0;
    this.#onTransition?.({ from, to, calls, failures, slow, ...(openMs === undefined ? {} : { openMs }) });
  }

  #countsAt(now: number): OutcomeCounts {
    return this.#state === "half-open" ? this.#trials.results : this.#window.at(now);
  }

  #retryAfterMs(now: number): number | undefined {
    if (this.#state === "open") return Math.max(0, this.#openUntil - now);
    return this.#state === "half-open" ? this.#trials.freeAfterMs(now) : undefined;
  }
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
