import fc from "fast-check";
import type { RetryStop } from "../../src/core/attempts.ts";
import { Status } from "../../src/core/status.ts";
import type { BackoffOptions, Jitter } from "../../src/policy/backoff.ts";
import { type FailedAttempt, Retry, type RetryDecision, type RetryOptions } from "../../src/policy/retry.ts";
import { RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { passing, same, within } from "./histories.ts";

/** How waits grow. */
export const waits: fc.Arbitrary<BackoffOptions> = fc.record({
  initialBackoffMs: fc.constantFrom(1, 50, 100, 2_000),
  maxBackoffMs: fc.constantFrom(75, 1_000, 60_000),
  multiplier: fc.constantFrom(0.5, 1, 1.6, 2, 10),
  jitter: fc.constantFrom<Jitter>("full", "equal", "decorrelated", "a6"),
});

/** The least and the most that wait n, from 0, may be after a last one of so many milliseconds. */
export function bounds(options: BackoffOptions, n: number, lastMs: number): [number, number] {
  const { initialBackoffMs, maxBackoffMs, multiplier, jitter } = options;
  const bound = Math.min(initialBackoffMs * multiplier ** n, maxBackoffMs);
  const first = Math.min(initialBackoffMs, maxBackoffMs);
  const all: Record<Jitter, [number, number]> = {
    full: [0, bound],
    equal: [bound / 2, bound],
    decorrelated: [first, Math.max(first, Math.min(lastMs * 3, maxBackoffMs))],
    a6: [bound * 0.8, bound * 1.2],
  };
  return all[jitter];
}

/** What happens to calls, each with its number. */
export type RetryStep =
  | { readonly do: "fail"; readonly call: number; readonly failure: FailedAttempt; readonly remainingMs: number }
  | { readonly do: "succeed" | "abandon"; readonly call: number }
  | { readonly do: "pass"; readonly ms: number };

const call = fc.nat(4);
const failure: fc.Arbitrary<FailedAttempt> = fc.record({
  code: fc.constantFrom(Status.UNAVAILABLE, Status.UNAVAILABLE, Status.UNAVAILABLE, Status.NOT_FOUND),
  committed: fc.nat(9).map((n) => n === 0),
  pushbackMs: fc.constantFrom(undefined, undefined, undefined, undefined, -1, 0, 7, 2_000),
  timedOut: fc.nat(5).map((n) => n === 0),
  rejected: fc.nat(9).map((n) => n === 0),
  drained: fc.constant(false),
});
const remainingMs = fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 2_000, 100, 10, 0, -5);
const failing = fc.tuple(call, failure, remainingMs);
const ending = fc.tuple(fc.constantFrom("succeed" as const, "succeed" as const, "abandon" as const), call);

export const retryStep: fc.Arbitrary<RetryStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: failing.map(([call, failure, remainingMs]) => ({ do: "fail" as const, call, failure, remainingMs })),
  },
  { weight: 3, arbitrary: ending.map(([how, call]) => ({ do: how, call })) },
  { weight: 1, arbitrary: passing.map((ms) => ({ do: "pass" as const, ms })) },
);

const TOKENS = 10;
const IN_FLIGHT = 3;
const RETRYABLE: RetryOptions["codes"] = new Set([Status.UNAVAILABLE]);

/** A call beside what is known of it. */
interface KnownCall {
  readonly retry: Retry;
  attempts: number;
  /** Waits by backoff since the last pushback. */
  waits: number;
  lastMs: number;
}

/** Up to five calls at a time that share a throttle and a budget, beside what should become of them. */
export class ComparedCalls {
  readonly #options: RetryOptions;
  readonly #own: number | undefined;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #throttling = new RetryThrottling({ maxTokens: TOKENS, tokenRatio: 1 });
  readonly #budget: RetryBudget;
  readonly #calls = new Map<number, KnownCall>();
  #tokens = TOKENS;
  #now = 0;

  /** @param own how many attempts the calls themselves allow. */
  constructor(waits: BackoffOptions, maxAttempts: number, own: number | undefined, seed: number) {
    this.#options = { ...waits, maxAttempts, codes: RETRYABLE, attemptTimeoutMs: undefined };
    this.#own = own;
    this.#random = seededRandom(seed);
    const settings = { ratio: 0.1, windowMs: 1e12, minInFlight: IN_FLIGHT };
    this.#budget = new RetryBudget(settings, { now: () => this.#now });
  }

  take(step: RetryStep): void {
    if (step.do === "fail") this.#fail(step.call, step.failure, step.remainingMs);
    if (step.do === "succeed") this.#end(step.call, "succeeded");
    if (step.do === "abandon") this.#end(step.call, "abandoned");
    if (step.do === "pass") this.#now += step.ms;
  }

  check(): void {
    same("permits in flight", this.#budget.snapshot().inFlight, this.#inFlight());
    same("tokens", this.#throttling.snapshot().tokens, this.#tokens);
  }

  /** Nobody waits any more. */
  leaveAll(): void {
    for (const call of this.#calls.keys()) this.#end(call, "abandoned");
  }

  #inFlight(): number {
    return [...this.#calls.values()].filter(({ attempts }) => attempts > 1).length;
  }

  #begin(call: number): KnownCall {
    const share = { throttling: this.#throttling, budget: this.#budget };
    const retry = new Retry(this.#options, share, this.#random, this.#own);
    const known = { retry, attempts: 1, waits: 0, lastMs: this.#options.initialBackoffMs };
    this.#budget.call();
    this.#calls.set(call, known);
    return known;
  }

  #fail(call: number, failure: FailedAttempt, remainingMs: number): void {
    const known = this.#calls.get(call) ?? this.#begin(call);
    same("attempt", known.retry.attempt, known.attempts);
    if (takesToken(failure)) this.#tokens = Math.max(0, this.#tokens - 1);
    const stop = this.#stopOf(failure, known);
    const decision = known.retry.failed(failure, remainingMs);
    if (!decision.retry) this.#calls.delete(call);
    if (stop) same("why there is no other", decision.retry || decision.stop, stop);
    else if (decision.retry) this.#checkWait(known, failure, decision, remainingMs);
    else if (decision.stop === "BUDGET") within("permits in flight", this.#inFlight(), IN_FLIGHT, Infinity);
    else same("why there is no other", decision.stop, "DEADLINE");
  }

  #checkWait(known: KnownCall, failure: FailedAttempt, decision: RetryDecision & { retry: true }, remainingMs: number) {
    const { delayMs, because } = decision;
    const isPushback = failure.pushbackMs !== undefined;
    same("because", because, isPushback ? "pushback" : "backoff");
    same("whether the wait fits", delayMs < remainingMs, true);
    if (isPushback) same("pushback", delayMs, failure.pushbackMs);
    else within("wait", delayMs, ...bounds(this.#options, known.waits, known.lastMs));
    known.attempts += 1;
    known.waits = isPushback ? 0 : known.waits + 1;
    known.lastMs = isPushback ? this.#options.initialBackoffMs : delayMs;
  }

  /** Why there is no further attempt, whatever deadline and budget say; undefined if there may be one. */
  #stopOf(failure: FailedAttempt, { attempts }: KnownCall): RetryStop | undefined {
    if (failure.rejected) return "REJECTED";
    if (failure.committed) return "COMMITTED";
    if (failure.pushbackMs === -1) return "PUSHBACK";
    if (!failure.timedOut && !RETRYABLE.has(failure.code)) return "NOT_RETRYABLE";
    if (attempts >= this.#options.maxAttempts || attempts >= (this.#own ?? attempts + 1)) return "MAX_ATTEMPTS";
    return this.#tokens * 2 > TOKENS ? undefined : "THROTTLED";
  }

  #end(call: number, how: "succeeded" | "abandoned"): void {
    const known = this.#calls.get(call);
    if (known && how === "succeeded") this.#tokens = Math.min(TOKENS, this.#tokens + 1);
    known?.retry[how]();
    known?.retry.abandoned();
    this.#calls.delete(call);
  }
}

/** Whether a failed attempt takes a token. */
function takesToken({ committed, rejected, timedOut, code, pushbackMs = 0 }: FailedAttempt): boolean {
  return !committed && !rejected && (timedOut || RETRYABLE.has(code) || pushbackMs < 0);
}
