import type { RetryStop } from "../core/attempts.ts";
import type { Clock } from "../core/clock.ts";
import type { StatusCode } from "../core/status.ts";
import type { HedgePace } from "./hedge-pace.ts";
import type { RetryShare } from "./retry.ts";
import type { BudgetPermit } from "./retry-budget.ts";

/** How a method's calls are hedged. */
export interface HedgeOptions {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  /** Wait for an answer before the next attempt is sent, in milliseconds; undefined: the method's own pace. */
  readonly delayMs: number | undefined;
  /** Statuses after which the next attempt is sent at once. */
  readonly nonFatalCodes: ReadonlySet<StatusCode>;
}

/** What all calls of a method share. */
export interface HedgeShare extends RetryShare {
  /** Where the delay is not fixed. */
  readonly pace: HedgePace | undefined;
}

/** What the machine looks at when an attempt failed. */
export interface FailedHedge {
  readonly code: StatusCode;
  /** Response headers had come. */
  readonly committed: boolean;
  /** The server's word on when to send another: after so many milliseconds; negative: not at all. */
  readonly pushbackMs: number | undefined;
  /** The client itself refused it (rule R10). */
  readonly rejected: boolean;
  /** The server left in good order: that is tried again elsewhere, and no sign of trouble. */
  readonly drained: boolean;
  /** The call's deadline passed: so it was slow, and did not merely fail. */
  readonly expired: boolean;
}

/** Why an attempt was sent: no answer came in time, another one failed, or the server said when. */
export type HedgeCause = "delay" | "failure" | "pushback";

/** What becomes of an attempt that is due. */
export type HedgeDecision =
  | { readonly send: true; readonly attempt: number; readonly because: HedgeCause }
  | { readonly send: false; readonly stop: RetryStop };

/** What one call's attempts go by. */
export interface HedgedCallFacts {
  /** When the first attempt was sent, on the clock. */
  readonly startedAt: number;
  /** When the call must be over, on the clock. */
  readonly deadline: number;
  /** How long each attempt is waited for before the next one is sent, in milliseconds; Infinity while nobody knows. */
  readonly delayMs: number;
  /** What this call allows, if that is less than the policy does. */
  readonly maxAttempts: number;
}

/** An attempt under way. */
interface Running {
  readonly attempt: number;
  readonly since: number;
  /** Of the budget; the first attempt needs none. */
  readonly permit: BudgetPermit | undefined;
}

const NOTHING: readonly never[] = Object.freeze([]);

/**
 * The attempts of one call that is hedged (gRFC A6, rules H1 to H4): says when the next one is due, whether it may be
 * sent, and what a failure means for the others. The first one is under way when it is made. It holds a permit of the
 * budget for each further one under way.
 */
export class Hedge {
  readonly #options: HedgeOptions;
  readonly #share: HedgeShare;
  readonly #clock: Pick<Clock, "now">;
  readonly #deadline: number;
  readonly #delayMs: number;
  /** Oldest first. */
  #running: readonly Running[];
  #sent = 1;
  /** How many more are considered; one that is denied has been. */
  #left: number;
  #dueAt = Number.POSITIVE_INFINITY;
  #because: HedgeCause = "delay";
  /** What kept the last one that was considered from being sent, or keeps any other from it. */
  #stop: RetryStop | undefined;

  constructor(options: HedgeOptions, share: HedgeShare, clock: Pick<Clock, "now">, facts: HedgedCallFacts) {
    this.#options = options;
    this.#share = share;
    this.#clock = clock;
    this.#deadline = facts.deadline;
    this.#delayMs = facts.delayMs;
    this.#left = Math.min(options.maxAttempts, facts.maxAttempts) - 1;
    this.#running = [{ attempt: 1, since: facts.startedAt, permit: undefined }];
    this.#plan(facts.startedAt + facts.delayMs, "delay");
  }

  /** When the next attempt is due; Infinity if there is none, or not before the deadline. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** How many attempts were sent, the first included. */
  get sent(): number {
    return this.#sent;
  }

  /** How many attempts are under way. */
  get running(): number {
    return this.#running.length;
  }

  /** Whether an attempt is under way: what is said of any other comes too late. */
  isRunning(attempt: number): boolean {
    return this.#running.some((running) => running.attempt === attempt);
  }

  /** The next attempt is due. Denied, it is left out, and the one after it is due a delay later. */
  due(): HedgeDecision {
    const now = this.#clock.now();
    const because = this.#because;
    this.#left -= 1;
    this.#plan(now + this.#delayMs, "delay");
    const permit = this.#acquire(because, now);
    if (typeof permit === "string") {
      this.#stop = permit;
      return { send: false, stop: permit };
    }
    this.#stop = undefined;
    this.#sent += 1;
    this.#running = [...this.#running, { attempt: this.#sent, since: now, permit }];
    return { send: true, attempt: this.#sent, because };
  }

  /**
   * An attempt failed.
   *
   * @returns why the call ends with this failure, and all that is under way is to be cancelled; undefined if others
   *   are under way, or one is due.
   */
  failed(attempt: number, failure: FailedHedge): RetryStop | undefined {
    const { since } = this.#take(attempt);
    if (failure.expired) this.#record(since);
    const end = this.#endAt(failure);
    if (end) return end;
    if (this.#running.length > 0) return undefined;
    if (this.#left === 0) return this.#stop ?? "MAX_ATTEMPTS";
    return this.#dueAt === Number.POSITIVE_INFINITY ? "DEADLINE" : undefined;
  }

  /**
   * An attempt was answered with OK: nothing more is due.
   *
   * @returns the others that were under way, and are to be cancelled.
   */
  succeeded(attempt: number): readonly number[] {
    this.#record(this.#take(attempt).since);
    this.#share.throttling.success();
    // One that was slow before it lost belongs among the slow; of others nobody knows how long they would have taken.
    for (const { since } of this.#running) this.#record(since, this.#delayMs);
    return this.abandoned();
  }

  /**
   * Nobody waits any more, or the call has ended: nothing more is due.
   *
   * @returns what was under way, and is to be cancelled.
   */
  abandoned(): readonly number[] {
    this.#left = 0;
    this.#dueAt = Number.POSITIVE_INFINITY;
    if (this.#running.length === 0) return NOTHING;
    const running = this.#running.map(({ attempt }) => attempt);
    for (const attempt of running) this.#take(attempt);
    return running;
  }

  /** Plans what follows a failure; says why nothing does, whatever else is under way. */
  #endAt({ code, committed, pushbackMs, rejected, drained }: FailedHedge): RetryStop | undefined {
    if (rejected) return this.#forbid("REJECTED");
    if (committed) return "COMMITTED";
    const nonFatal = this.#options.nonFatalCodes.has(code);
    const forbidden = pushbackMs !== undefined && pushbackMs < 0;
    if (forbidden || (nonFatal && !drained)) this.#share.throttling.failure();
    if (!nonFatal) return "NOT_RETRYABLE";
    if (forbidden) return this.#forbid("PUSHBACK");
    this.#plan(this.#clock.now() + (pushbackMs ?? 0), pushbackMs === undefined ? "failure" : "pushback");
    return undefined;
  }

  #plan(at: number, because: HedgeCause): void {
    this.#dueAt = this.#left > 0 && at < this.#deadline ? at : Number.POSITIVE_INFINITY;
    this.#because = because;
  }

  /** No further attempt; those under way go on. */
  #forbid(stop: RetryStop): undefined {
    this.#left = 0;
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#stop = stop;
  }

  /** Leave to send one more; otherwise why there is none. */
  #acquire(because: HedgeCause, now: number): BudgetPermit | RetryStop {
    const { throttling, budget, pace } = this.#share;
    if (now >= this.#deadline) return "DEADLINE";
    if (!throttling.allows()) return "THROTTLED";
    // What takes the place of a failed attempt is no load besides: that is for the target's budget alone.
    if (because === "delay" && pace && !pace.tryHedge()) return "BUDGET";
    return budget.tryAcquire() ?? "BUDGET";
  }

  #record(since: number, leastMs = 0): void {
    const { pace } = this.#share;
    if (!pace) return;
    const tookMs = this.#clock.now() - since;
    if (tookMs >= leastMs) pace.record(tookMs);
  }

  /** Takes an attempt out of those under way, and gives back what it held. */
  #take(attempt: number): Running {
    const running = this.#running.find((running) => running.attempt === attempt);
    if (!running) throw new RangeError(`attempt ${attempt} is not under way`);
    running.permit?.release();
    this.#running = this.#running.length === 1 ? NOTHING : this.#running.filter((other) => other !== running);
    return running;
  }
}
