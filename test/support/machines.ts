import type {
  BreakerPolicy,
  RetryBudgetPolicy,
  RetryPolicy,
  RetryThrottlingPolicy,
} from "../../src/contract/policy.ts";
import { resolveBreaker, resolveBudget, resolveRetry, resolveThrottling } from "../../src/contract/resolve.ts";
import type { Random } from "../../src/core/random.ts";
import { Status } from "../../src/core/status.ts";
import { Breaker, type BreakerTransition } from "../../src/policy/breaker.ts";
import type { BreakerPermit, BreakerRejection, BreakerState, BreakerUse } from "../../src/policy/breaker-permit.ts";
import { type FailedAttempt, Retry, type RetryDecision, type RetryShare } from "../../src/policy/retry.ts";
import { RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";

/** Chance that gives these numbers, and then the last of them for ever. */
export function scripted(...numbers: readonly number[]): Random {
  let drawn = 0;
  return () => numbers[Math.min(drawn++, numbers.length - 1)] ?? 0;
}

/** With which open times last exactly as long as they are said to. */
export const MIDDLE: Random = () => 0.5;

/** A breaker under test. */
export interface BreakerUnderTest {
  readonly breaker: Breaker;
  readonly clock: FakeClock;
  /** What it told of its changes of state. */
  readonly told: BreakerTransition[];
}

/**
 * A breaker that opens for exactly a second at the second failure of two to four calls, and lets one trial through;
 * with its clock and what it told.
 */
export function aBreaker(policy: BreakerPolicy = {}, random: Random = MIDDLE, clock = fakeClock()): BreakerUnderTest {
  const told: BreakerTransition[] = [];
  const options = resolveBreaker({ minimumCalls: 2, openMs: 1_000, trials: 1, ...policy });
  const breaker = new Breaker(options, clock, random, (transition) => told.push(transition));
  return { breaker, clock, told };
}

/** Leave that there must be. */
export function granted(breaker: Breaker, use?: BreakerUse): BreakerPermit {
  const permit = breaker.tryAcquire(use);
  if (!permit.granted) throw new Error(`the breaker is ${permit.state}; a permit was expected`);
  return permit;
}

/** A rejection that there must be. */
export function rejection(breaker: Breaker): BreakerRejection {
  const permit = breaker.tryAcquire();
  if (permit.granted) throw new Error("the breaker gave a permit; a rejection was expected");
  return permit;
}

/** Makes calls that succeed at once. */
export function succeed(breaker: Breaker, calls = 1): void {
  for (let n = 0; n < calls; n += 1) granted(breaker).success();
}

/** Makes calls that fail at once. */
export function fail(breaker: Breaker, calls = 1): void {
  for (let n = 0; n < calls; n += 1) granted(breaker).failure();
}

/** Makes calls that are under way at the same time. */
export function begin(breaker: Breaker, calls: number, use?: BreakerUse): BreakerPermit[] {
  return Array.from({ length: calls }, () => granted(breaker, use));
}

/** Makes one call that takes this long. */
export async function take({ breaker, clock }: BreakerUnderTest, ms: number, how: "success" | "failure" = "success") {
  const permit = granted(breaker);
  await clock.advance(ms);
  permit[how]();
}

/** Opens `aBreaker`'s breaker, which is closed. */
export function open({ breaker }: BreakerUnderTest): void {
  fail(breaker, 2);
}

/** Opens `aBreaker`'s breaker and waits until its trials are due. */
export async function toTrial(set: BreakerUnderTest): Promise<void> {
  open(set);
  await set.clock.advance(set.breaker.snapshot().retryAfterMs ?? 0);
}

/** The states that it came to, one after the other. */
export function statesOf(told: readonly BreakerTransition[]): BreakerState[] {
  return told.map(({ to }) => to);
}

/** What the calls of a target that are under test share, and how they are retried. */
export interface RetryUnderTest {
  readonly share: RetryShare;
  readonly clock: FakeClock;
  /** The attempts of one more call. @param maxAttempts what the call itself allows. */
  call(maxAttempts?: number): Retry;
}

/** What retries are made with. */
export interface RetrySetting extends RetryPolicy {
  readonly maxAttemptsLimit?: number;
  readonly retryThrottling?: RetryThrottlingPolicy;
  readonly retryBudget?: RetryBudgetPolicy;
  readonly random?: Random;
}

/** A throttle that never closes. */
export const ENOUGH_TOKENS: RetryThrottlingPolicy = { maxTokens: 1_000 };

/** Calls that are retried; waits are the middle of their bounds, 25, 50, 100 … ms. */
export function retries(setting: RetrySetting = {}): RetryUnderTest {
  const { maxAttemptsLimit, retryThrottling, retryBudget, random = MIDDLE, ...policy } = setting;
  const clock = fakeClock();
  const options = resolveRetry(policy, maxAttemptsLimit);
  const share = {
    throttling: new RetryThrottling(resolveThrottling(retryThrottling)),
    budget: new RetryBudget(resolveBudget(retryBudget), clock),
  };
  const call = (maxAttempts?: number) => {
    share.budget.call();
    return new Retry(options, share, random, maxAttempts);
  };
  return { share, clock, call };
}

/** An attempt that failed: UNAVAILABLE without headers, unless something else is said. */
export function aFailed(changes: Partial<FailedAttempt> = {}): FailedAttempt {
  const plain = { committed: false, pushbackMs: undefined, timedOut: false, rejected: false, drained: false };
  return { code: Status.UNAVAILABLE, ...plain, ...changes };
}

/** Without a deadline. */
export const FOREVER_MS: number = Number.POSITIVE_INFINITY;

/** Lets each attempt of a call fail until there is no further one; what was decided after each. */
export function failAll(retry: Retry, failure = aFailed()): RetryDecision[] {
  const decisions = [retry.failed(failure, FOREVER_MS)];
  while (decisions.at(-1)?.retry) decisions.push(retry.failed(failure, FOREVER_MS));
  return decisions;
}

/** The waits that were decided. */
export function waitsOf(decisions: readonly RetryDecision[]): number[] {
  return decisions.flatMap((decision) => (decision.retry ? [decision.delayMs] : []));
}
