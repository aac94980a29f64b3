import type { IdempotencyLevel, MethodKind } from "../core/method.ts";
import {
  type BreakerPolicy,
  type HedgePolicy,
  type IdempotencyKeyPolicy,
  type MethodPolicy,
  mergePolicy,
  mergeSettings,
  type RetryBudgetPolicy,
  type RetryPolicy,
  type RetryThrottlingPolicy,
  type ServicePolicy,
} from "./policy.ts";
import { checkBatch } from "./validate-batches.ts";
import { checkIsolation, checkServiceIsolation } from "./validate-isolation.ts";
import { checkLoad, checkServiceLoad } from "./validate-load.ts";
import { checkServing } from "./validate-serving.ts";
import { checkStreams } from "./validate-streams.ts";
import {
  atMost,
  checkAttempts,
  checkBackoff,
  checkCodes,
  count,
  notNegative,
  type Problem,
  positive,
  ratio,
} from "./value-checks.ts";

/** A window of the last calls keeps nine bytes for each. */
const MOST_WINDOW_CALLS = 1_000_000;

/** What a policy is checked against. */
export interface MethodFacts {
  readonly kind: MethodKind;
  readonly idempotency: IdempotencyLevel;
}

/** All that is wrong with a service's policy; empty if nothing is. */
export function checkServicePolicy(policy: ServicePolicy): Problem[] {
  return [
    ...checkTimeout(policy.timeoutMs),
    ...checkBreaker(policy.breaker),
    ...checkThrottling(policy.retryThrottling),
    ...checkBudget(policy.retryBudget),
    ...checkServiceIsolation(policy),
    ...checkServing(policy),
    ...checkServiceLoad(policy),
  ];
}

/**
 * All that is wrong with a method's policy; empty if nothing is.
 *
 * @param service what its service says, with which the method's own settings must go together. Default: nothing.
 */
export function checkMethodPolicy(policy: MethodPolicy, method: MethodFacts, service: ServicePolicy = {}): Problem[] {
  const { timeoutMs } = mergePolicy(service, policy, method.kind === "server-stream" || method.kind === "bidi");
  return [
    ...checkTimeout(policy.timeoutMs),
    ...checkRetry(policy.retry),
    ...atMost(["retry", "attemptTimeoutMs"], policy.retry?.attemptTimeoutMs, "the timeout", timeoutMs),
    ...checkHedge(policy.hedge),
    ...atMost(["hedge", "delayMs"], policy.hedge?.delayMs, "the timeout", timeoutMs),
    ...checkBreaker(policy.breaker),
    ...checkInherited(policy.breaker, service.breaker),
    ...checkScope(policy.breaker),
    ...checkIdempotencyKey(policy.idempotencyKey, method),
    ...checkRepetition(policy, method),
    ...checkStreams(policy, method),
    ...checkIsolation(policy, method, service),
    ...atMost(["bulkhead", "maxWaitMs"], policy.bulkhead?.maxWaitMs, "the timeout", timeoutMs),
    ...checkBatch(policy, method),
    ...atMost(["batch", "maxWaitMs"], policy.batch?.maxWaitMs, "the timeout", timeoutMs),
    ...checkServing(policy),
    ...checkLoad(policy, service),
  ];
}

function checkTimeout(timeoutMs: number | undefined): Problem[] {
  return positive(["timeoutMs"], timeoutMs);
}

/** All that is wrong with a retry policy by itself. */
export function checkRetry(retry: RetryPolicy | undefined): Problem[] {
  if (!retry) return [];
  return [
    ...checkAttempts(["retry", "maxAttempts"], retry.maxAttempts),
    ...checkBackoff("retry", retry),
    ...positive(["retry", "attemptTimeoutMs"], retry.attemptTimeoutMs),
    ...checkCodes(["retry", "codes"], retry.codes),
  ];
}

/** All that is wrong with a hedge policy by itself. */
export function checkHedge(hedge: HedgePolicy | undefined): Problem[] {
  if (!hedge) return [];
  return [
    ...checkAttempts(["hedge", "maxAttempts"], hedge.maxAttempts),
    ...notNegative(["hedge", "delayMs"], hedge.delayMs),
    ...checkCodes(["hedge", "nonFatalCodes"], hedge.nonFatalCodes),
  ];
}

/** All that is wrong with a retry throttle. */
export function checkThrottling(throttling: RetryThrottlingPolicy | undefined): Problem[] {
  if (!throttling) return [];
  const { maxTokens, tokenRatio } = throttling;
  const path = ["retryThrottling", "maxTokens"];
  const problems = [...positive(path, maxTokens), ...positive(["retryThrottling", "tokenRatio"], tokenRatio)];
  if (maxTokens !== undefined && maxTokens > 1_000) {
    problems.push({ path, message: `must be at most 1000 (gRFC A6); it is ${maxTokens}` });
  }
  if (tokenRatio !== undefined && tokenRatio > 0 && tokenRatio < 0.001) {
    const message = `must be at least 0.001, of which gRFC A6 keeps no less; it is ${tokenRatio}`;
    problems.push({ path: ["retryThrottling", "tokenRatio"], message });
  }
  return problems;
}

/** All that is wrong with a retry budget. */
export function checkBudget(budget: RetryBudgetPolicy | undefined): Problem[] {
  if (!budget) return [];
  return [
    ...ratio(["retryBudget", "ratio"], budget.ratio),
    ...positive(["retryBudget", "windowMs"], budget.windowMs),
    ...count(["retryBudget", "minInFlight"], budget.minInFlight),
  ];
}

/** All that is wrong with a circuit breaker. */
export function checkBreaker(breaker: BreakerPolicy | undefined): Problem[] {
  if (!breaker) return [];
  return [
    ...ratio(["breaker", "failureRatio"], breaker.failureRatio),
    ...ratio(["breaker", "slowRatio"], breaker.slowRatio),
    ...positive(["breaker", "slowMs"], breaker.slowMs),
    ...positive(["breaker", "windowMs"], breaker.windowMs),
    ...count(["breaker", "windowCalls"], breaker.windowCalls),
    ...atMost(["breaker", "windowCalls"], breaker.windowCalls, "what it holds in memory", MOST_WINDOW_CALLS),
    ...count(["breaker", "minimumCalls"], breaker.minimumCalls),
    ...checkMinimum(breaker),
    ...positive(["breaker", "openMs"], breaker.openMs),
    ...positive(["breaker", "maxOpenMs"], breaker.maxOpenMs),
    ...atMost(["breaker", "openMs"], breaker.openMs, "the greatest open time", breaker.maxOpenMs),
    ...count(["breaker", "trials"], breaker.trials),
    ...positive(["breaker", "trialTimeoutMs"], breaker.trialTimeoutMs),
    ...atMost(["breaker", "slowMs"], breaker.slowMs, "the trial timeout", breaker.trialTimeoutMs),
    ...checkCodes(["breaker", "codes"], breaker.codes),
  ];
}

/** A breaker whose window never holds enough calls would never open. */
function checkMinimum({ windowCalls, minimumCalls }: BreakerPolicy): Problem[] {
  if (windowCalls === undefined || minimumCalls === undefined || !(windowCalls < minimumCalls)) return [];
  const message = `must not be greater than the calls of the window, ${windowCalls}: it would never open; it is ${minimumCalls}`;
  return [{ path: ["breaker", "minimumCalls"], message }];
}

/** What method and service each may say of a breaker, and not both. */
function checkInherited(own: BreakerPolicy | undefined, service: BreakerPolicy | undefined): Problem[] {
  if (!own || !service || checkBreaker(own).length > 0 || checkBreaker(service).length > 0) return [];
  return checkBreaker(mergeSettings(service, own));
}

function checkScope(breaker: BreakerPolicy | undefined): Problem[] {
  if (breaker?.scope === undefined) return [];
  return [
    { path: ["breaker", "scope"], message: "is for the service to say: a method shares a breaker, or has its own" },
  ];
}

/** What is kept under a key is one answer to one request. */
function checkIdempotencyKey(key: IdempotencyKeyPolicy | undefined, { kind }: MethodFacts): Problem[] {
  if (!key) return [];
  const problems = checkKeeping(["idempotencyKey", "ttlMs"], key.ttlMs);
  if (kind === "unary") return problems;
  const message = `idempotency_key on a ${kind} method: one answer to one request is kept, and a stream is neither`;
  return [...problems, { path: ["idempotencyKey"], message }];
}

/** A contract's file says no infinite time, a record by hand may; the stores of PostgreSQL and Redis keep nothing for ever. */
function checkKeeping(path: readonly string[], ttlMs: number | undefined): Problem[] {
  return ttlMs === Number.POSITIVE_INFINITY
    ? [{ path, message: `must be finite; it is ${ttlMs}` }]
    : positive(path, ttlMs);
}

/** A call may be made twice only where that is safe, and retry and hedge exclude each other (gRFC A6, rule R9). */
function checkRepetition(policy: MethodPolicy, method: MethodFacts): Problem[] {
  const problems: Problem[] = [];
  if (policy.retry && policy.hedge) {
    problems.push({ path: ["hedge"], message: "retry and hedge exclude each other (gRFC A6): keep one of them" });
  }
  const safe = method.idempotency !== "UNKNOWN" || policy.idempotencyKey !== undefined;
  for (const mechanism of ["retry", "hedge"] as const) {
    if (policy[mechanism] === undefined) continue;
    if (!safe) {
      const message = `${mechanism} on a method that is not safe to repeat: set idempotency_level, or idempotency_key: {}`;
      problems.push({ path: [mechanism], message });
    }
    if (method.kind === "client-stream" || method.kind === "bidi") {
      const message = `${mechanism} on a ${method.kind} method: once a message was sent it cannot be sent again`;
      problems.push({ path: [mechanism], message });
    }
  }
  if (policy.hedge && method.kind === "server-stream") problems.push(STREAM_HEDGE);
  return problems;
}

/**
 * The first OK wins (rule H1), and until a stream's end nothing but its messages could tell; a quiet stream is no slow
 * one, so that silence would open two of each.
 */
const STREAM_HEDGE: Problem = {
  path: ["hedge"],
  message: "hedge on a server-stream method: the first OK wins (gRFC A6), and a stream has it at its end; use retry",
};
