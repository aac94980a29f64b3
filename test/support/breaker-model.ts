import type { Random } from "../../src/core/random.ts";
import type { BreakerOptions, BreakerSnapshot } from "../../src/policy/breaker.ts";
import type { BreakerState, BreakerUse } from "../../src/policy/breaker-permit.ts";

/** A breaker's settings, with shares in whole per cent, so that the model compares integers. */
export interface ModelSettings extends Omit<BreakerOptions, "failureRatio" | "slowRatio"> {
  readonly failurePercent: number;
  readonly slowPercent: number;
}

/** What the machine is made with. */
export function toBreakerOptions({ failurePercent, slowPercent, ...settings }: ModelSettings): BreakerOptions {
  return { ...settings, failureRatio: failurePercent / 100, slowRatio: slowPercent / 100 };
}

/** A permit of the model's. */
export interface ModelPermit {
  readonly epoch: number;
  readonly since: number;
  readonly use: BreakerUse;
  settled: boolean;
}

interface Outcome {
  readonly at: number;
  readonly failed: boolean;
  readonly slow: boolean;
}

export type Forced = "forceOpen" | "forceClosed" | "disable" | "reset";

const FORCED: Record<Forced, BreakerState> = {
  forceOpen: "forced-open",
  forceClosed: "forced-closed",
  disable: "disabled",
  reset: "closed",
};

/**
 * What a breaker should do, written without a thought for speed: it keeps every outcome with its time, and counts
 * them anew for each question. Time must be exact in binary, and so must a slice of the window.
 */
export class BreakerModel {
  readonly #settings: ModelSettings;
  readonly #random: Random;
  state: BreakerState = "closed";
  #epoch = 0;
  #outcomes: Outcome[] = [];
  #trials: ModelPermit[] = [];
  #results: Outcome[] = [];
  #openings = 0;
  #openUntil = 0;
  #rejected = 0;

  constructor(settings: ModelSettings, random: Random) {
    this.#settings = settings;
    this.#random = random;
  }

  acquire(now: number, use: BreakerUse): ModelPermit | undefined {
    this.#tryAgain(now);
    this.#giveUp(now);
    this.#tryAgain(now);
    const full = this.#trials.length + this.#results.length >= this.#settings.trials;
    const passes = this.state === "half-open" ? !full : !["open", "forced-open"].includes(this.state);
    if (!passes) this.#rejected += 1;
    if (!passes) return undefined;
    const permit = { epoch: this.#epoch, since: now, use, settled: false };
    if (this.state === "half-open") this.#trials.push(permit);
    return permit;
  }

  settle(permit: ModelPermit, how: "success" | "failure" | "ignore", now: number): void {
    if (permit.settled) return;
    permit.settled = true;
    if (permit.epoch !== this.#epoch || this.state === "disabled") return;
    this.#trials = this.#trials.filter((trial) => trial !== permit);
    if (how === "ignore") return;
    const slow = now - permit.since > (permit.use.slowMs ?? this.#settings.slowMs);
    const outcome = { at: now, failed: how === "failure", slow };
    if (this.state === "half-open") this.#results.push(outcome);
    else this.#outcomes.push(outcome);
    this.#judge(now);
  }

  force(how: Forced): void {
    if (how === "reset") this.#rejected = 0;
    if (how === "reset") this.#openings = 0;
    this.#move(FORCED[how]);
  }

  snapshot(now: number): BreakerSnapshot {
    const counts = count(this.state === "half-open" ? this.#results : this.#within(now));
    const full = this.#trials.length > 0 && this.#trials.length + this.#results.length >= this.#settings.trials;
    const oldest = Math.min(...this.#trials.map(({ since }) => since + this.#settings.trialTimeoutMs));
    const dueAt = { open: this.#openUntil, "half-open": full ? oldest : now }[this.state as "open"];
    return {
      ...{ state: this.state, ...counts, trials: this.#trials.length, rejected: this.#rejected },
      failureRatio: counts.calls && counts.failures / counts.calls,
      slowRatio: counts.calls && counts.slow / counts.calls,
      retryAfterMs: dueAt === undefined ? undefined : Math.max(0, dueAt - now),
    };
  }

  /** The outcomes that have not left the window. */
  #within(now: number): Outcome[] {
    const { windowMs, windowCalls } = this.#settings;
    if (windowCalls !== undefined) return this.#outcomes.slice(-windowCalls).filter(({ at }) => at > now - windowMs);
    const slice = (at: number) => Math.floor(at / (windowMs / 10));
    return this.#outcomes.filter(({ at }) => slice(at) > slice(now) - 10);
  }

  #tryAgain(now: number): void {
    if (this.state === "open" && now >= this.#openUntil) this.#move("half-open");
  }

  /** Each when its time was over. */
  #giveUp(now: number): void {
    const { trialTimeoutMs } = this.#settings;
    for (const trial of this.#trials.filter(({ since }) => now - since >= trialTimeoutMs)) {
      this.settle(trial, trial.use.givenUp === "ignored" ? "ignore" : "failure", trial.since + trialTimeoutMs);
    }
  }

  #judge(now: number): void {
    const { minimumCalls, trials } = this.#settings;
    if (this.state === "half-open") {
      const { calls, failures, slow } = count(this.#results);
      const toCome = trials - calls;
      if (this.#isTooMuch(failures, slow, trials)) this.#open(now);
      else if (!this.#isTooMuch(failures + toCome, slow + toCome, trials)) this.#close();
    } else if (this.state === "closed") {
      const { calls, failures, slow } = count(this.#within(now));
      if (calls >= minimumCalls && this.#isTooMuch(failures, slow, calls)) this.#open(now);
    }
  }

  #isTooMuch(failures: number, slow: number, calls: number): boolean {
    const { failurePercent, slowPercent } = this.#settings;
    return failures * 100 >= failurePercent * calls || slow * 100 >= slowPercent * calls;
  }

  #open(now: number): void {
    const { openMs, maxOpenMs } = this.#settings;
    this.#openUntil = now + Math.min(openMs * 2 ** this.#openings, maxOpenMs) * (0.8 + 0.4 * this.#random());
    this.#openings += 1;
    this.#move("open");
  }

  #close(): void {
    this.#openings = 0;
    this.#move("closed");
  }

  #move(to: BreakerState): void {
    if (to !== this.state && (to === "open" || to === "forced-open")) this.#rejected = 0;
    this.state = to;
    this.#epoch += 1;
    this.#trials = [];
    this.#results = [];
    if (to === "closed" || to === "half-open") this.#outcomes = [];
  }
}

function count(outcomes: readonly Outcome[]) {
  const failures = outcomes.filter(({ failed }) => failed).length;
  return { calls: outcomes.length, failures, slow: outcomes.filter(({ slow }) => slow).length };
}
