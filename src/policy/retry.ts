import type { RetryStop } from "../core/attempts.ts";
import type { Random } from "../core/random.ts";
import type { StatusCode } from "../core/status.ts";
import { Backoff, type BackoffOptions } from "./backoff.ts";
import type { BudgetPermit, RetryBudget } from "./retry-budget.ts";
import type { RetryThrottling } from "./retry-throttling.ts";

/** How a method's calls are retried. */
export interface RetryOptions extends BackoffOptions {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  /** Statuses that are tried again. */
  readonly codes: ReadonlySet<StatusCode>;
  /** How long one attempt may take, in milliseconds; undefined for as long as the call. */
  readonly attemptTimeoutMs: number | undefined;
}

/** What all calls to a target share. */
export interface RetryShare {
  readonly throttling: RetryThrottling;
  readonly budget: RetryBudget;
}

/** What the machine looks at when an attempt failed. */
export interface FailedAttempt {
  readonly code: StatusCode;
  /** Response headers had come. */
  readonly committed: boolean;
  /** The server's word on when to retry: after so many milliseconds; negative: not at all. */
  readonly pushbackMs: number | undefined;
  /** It ran into its own time limit, not the call's: safe to try again wherever retries are (rule R10). */
  readonly timedOut: boolean;
  /** The client itself refused it (rule R10). */
  readonly rejected: boolean;
  /** The server left in good order: that is tried again elsewhere, and no sign of trouble. */
  readonly drained: boolean;
}

/** What to do after a failed attempt. */
export type RetryDecision =
  | { readonly retry: true; readonly delayMs: number; readonly because: "backoff" | "pushback" }
  | { readonly retry: false; readonly stop: RetryStop };

/**
 * The attempts of one call (gRFC A6, rules R1 to R11): says after each failure whether and when there is another.
 * Made at the first failure, so that a call that succeeds at once costs nothing. It holds a permit of the budget while
 * an extra attempt is waited for or under way: `succeeded`, `failed` or `abandoned` gives it back.
 */
export class Retry {
  readonly #options: RetryOptions;
  readonly #share: RetryShare;
  readonly #maxAttempts: number;
  readonly #backoff: Backoff;
  #permit: BudgetPermit | undefined;
  #attempt = 1;

  /** @param maxAttempts what this call allows, if that is less than the policy does. */
  constructor(options: RetryOptions, share: RetryShare, random: Random, maxAttempts = Number.POSITIVE_INFINITY) {
    this.#options = options;
    this.#share = share;
    this.#maxAttempts = Math.min(options.maxAttempts, maxAttempts);
    this.#backoff = new Backoff(options, random);
  }

  /** The attempt that is under way or, while it waits, the next one; from 1. */
  get attempt(): number {
    return this.#attempt;
  }

  /** The attempt under way failed. @param remainingMs until the call's deadline. */
  failed(failure: FailedAttempt, remainingMs: number): RetryDecision {
    this.#release();
    const stop = this.#stopAt(failure);
    if (stop) return { retry: false, stop };
    const { pushbackMs } = failure;
    const delayMs = pushbackMs ?? this.#backoff.next();
    if (pushbackMs !== undefined) this.#backoff.reset();
    if (!(delayMs < remainingMs)) return { retry: false, stop: "DEADLINE" };
    this.#permit = this.#share.budget.tryAcquire();
    if (!this.#permit) return { retry: false, stop: "BUDGET" };
    this.#attempt += 1;
    return { retry: true, delayMs, because: pushbackMs === undefined ? "backoff" : "pushback" };
  }

  /** The attempt under way succeeded. */
  succeeded(): void {
    this.#share.throttling.success();
    this.#release();
  }

  /** Nobody waits any more. */
  abandoned(): void {
    this.#release();
  }

  #stopAt(failure: FailedAttempt): RetryStop | undefined {
    const { throttling } = this.#share;
    if (failure.rejected) return "REJECTED";
    if (failure.committed) return "COMMITTED";
    const retryable = failure.timedOut || this.#options.codes.has(failure.code);
    const forbidden = failure.pushbackMs !== undefined && failure.pushbackMs < 0;
    if (forbidden || (retryable && !failure.drained)) throttling.failure();
    if (forbidden) return "PUSHBACK";
    if (!retryable) return "NOT_RETRYABLE";
    if (this.#attempt >= this.#maxAttempts) return "MAX_ATTEMPTS";
    return throttling.allows() ? undefined : "THROTTLED";
  }

  #release(): void {
    this.#permit?.release();
    this.#permit = undefined;
  }
}
