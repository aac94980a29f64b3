import { parseStatusName, Status, type StatusCode, type StatusName } from "../core/status.ts";
import type { BreakerOptions } from "../policy/breaker.ts";
import type { HedgeOptions } from "../policy/hedge.ts";
import type { ResumeOptions } from "../policy/resume.ts";
import type { RetryOptions } from "../policy/retry.ts";
import type { RetryBudgetOptions } from "../policy/retry-budget.ts";
import type { RetryThrottlingOptions } from "../policy/retry-throttling.ts";
import type { StallOptions } from "../policy/stall.ts";
import type {
  AdaptiveLimitPolicy,
  BatchPolicy,
  BreakerPolicy,
  BulkheadPolicy,
  CachePolicy,
  HeartbeatPolicy,
  HedgePolicy,
  ResumePolicy,
  RetryBudgetPolicy,
  RetryPolicy,
  RetryThrottlingPolicy,
  ThrottlePolicy,
} from "./policy.ts";
import type {
  AdaptiveLimitSettings,
  BatchSettings,
  BulkheadSettings,
  CacheSettings,
  ThrottleSettings,
} from "./resolved.ts";

/** gRFC A6: more attempts than these are taken as these. */
const MOST_ATTEMPTS = 5;

/** The statuses that count as failures of the target where the contract names none. */
const FAILURES: readonly StatusName[] = [
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "RESOURCE_EXHAUSTED",
  "INTERNAL",
  "UNKNOWN",
];

/** The statuses after which a stream is reopened where the contract names none. */
const BREAKS: readonly StatusName[] = [
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "RESOURCE_EXHAUSTED",
  "ABORTED",
  "INTERNAL",
  "CANCELLED",
];

/** After how long a trial is given up at the earliest, where nobody says. */
export const TRIAL_TIMEOUT_MS = 5_000;

/** How often a server sends heartbeats where the contract does not say. */
export const HEARTBEAT_INTERVAL_MS = 10_000;

/** A retry policy with its defaults filled in. */
export function resolveRetry(policy: RetryPolicy, mostAttempts: number = MOST_ATTEMPTS): RetryOptions {
  return {
    maxAttempts: Math.min(policy.maxAttempts ?? 3, mostAttempts),
    initialBackoffMs: policy.initialBackoffMs ?? 50,
    maxBackoffMs: policy.maxBackoffMs ?? Math.max(1_000, policy.initialBackoffMs ?? 0),
    multiplier: policy.multiplier ?? 2,
    jitter: policy.jitter ?? "full",
    codes: toCodes(policy.codes, ["UNAVAILABLE"]),
    attemptTimeoutMs: policy.attemptTimeoutMs,
  };
}

/** A retry throttle with its defaults filled in. */
export function resolveThrottling(policy: RetryThrottlingPolicy = {}): RetryThrottlingOptions {
  return { maxTokens: policy.maxTokens ?? 10, tokenRatio: policy.tokenRatio ?? 0.1 };
}

/** A retry budget with its defaults filled in. */
export function resolveBudget(policy: RetryBudgetPolicy = {}): RetryBudgetOptions {
  return { ratio: policy.ratio ?? 0.1, windowMs: policy.windowMs ?? 10_000, minInFlight: policy.minInFlight ?? 3 };
}

/** A breaker policy with its defaults filled in. */
export function resolveBreaker(policy: BreakerPolicy = {}): BreakerOptions {
  return {
    failureRatio: policy.failureRatio ?? 0.5,
    slowRatio: policy.slowRatio ?? 0.8,
    slowMs: policy.slowMs ?? Number.POSITIVE_INFINITY,
    windowMs: policy.windowMs ?? (policy.windowCalls === undefined ? 10_000 : 600_000),
    windowCalls: policy.windowCalls,
    minimumCalls: policy.minimumCalls ?? Math.min(20, policy.windowCalls ?? 20),
    openMs: policy.openMs ?? 5_000,
    maxOpenMs: policy.maxOpenMs ?? Math.max(60_000, policy.openMs ?? 0),
    trials: policy.trials ?? 5,
    trialTimeoutMs: policy.trialTimeoutMs ?? Math.max(TRIAL_TIMEOUT_MS, policy.slowMs ?? 0),
  };
}

/** A resume policy with its defaults filled in. */
export function resolveResume(policy: Omit<ResumePolicy, "requestField" | "cursorField">): ResumeOptions {
  return {
    codes: toCodes(policy.codes, BREAKS),
    fromStart: policy.fromStart ?? false,
    maxFailures: policy.maxFailures ?? 10,
    initialBackoffMs: policy.initialBackoffMs ?? 100,
    maxBackoffMs: policy.maxBackoffMs ?? Math.max(30_000, policy.initialBackoffMs ?? 0),
    multiplier: policy.multiplier ?? 2,
    jitter: policy.jitter ?? "full",
  };
}

/** When a stream counts as stalled, with the defaults filled in. */
export function resolveStall(policy: Omit<HeartbeatPolicy, "field">): StallOptions {
  return { intervalMs: policy.intervalMs ?? HEARTBEAT_INTERVAL_MS, missed: policy.missed ?? 3 };
}

/** A hedge policy with its defaults filled in. */
export function resolveHedge(policy: HedgePolicy, mostAttempts: number = MOST_ATTEMPTS): HedgeOptions {
  return {
    maxAttempts: Math.min(policy.maxAttempts ?? 2, mostAttempts),
    delayMs: policy.delayMs,
    nonFatalCodes: toCodes(policy.nonFatalCodes, ["UNAVAILABLE"]),
  };
}

/** A bulkhead with its defaults filled in. */
export function resolveBulkhead(policy: BulkheadPolicy = {}): BulkheadSettings {
  return {
    maxConcurrent: policy.maxConcurrent ?? 25,
    maxQueued: policy.maxQueued ?? 0,
    maxWaitMs: policy.maxWaitMs ?? Number.POSITIVE_INFINITY,
  };
}

/** A limit that follows the latency, with its defaults filled in: none of them contradicts what is said. */
export function resolveAdaptiveLimit(policy: AdaptiveLimitPolicy = {}): AdaptiveLimitSettings {
  const { initialLimit, minLimit, maxLimit } = policy;
  const least = minLimit ?? Math.min(5, initialLimit ?? 5, maxLimit ?? 5);
  const most = maxLimit ?? Math.max(200, initialLimit ?? 0, least);
  return {
    initialLimit: initialLimit ?? Math.min(Math.max(20, least), most),
    minLimit: least,
    maxLimit: most,
    tolerance: policy.tolerance ?? 1.5,
    smoothing: policy.smoothing ?? 0.2,
  };
}

/** The client's throttling with its defaults filled in. */
export function resolveThrottle(policy: ThrottlePolicy = {}): ThrottleSettings {
  return { k: policy.k ?? 2, windowMs: policy.windowMs ?? 120_000 };
}

/** A cache with its defaults filled in. */
export function resolveCache(policy: CachePolicy): CacheSettings {
  return {
    ttlMs: policy.ttlMs,
    staleWhileRevalidateMs: policy.staleWhileRevalidateMs ?? 0,
    staleIfErrorMs: policy.staleIfErrorMs ?? 0,
    maxEntries: policy.maxEntries ?? 1_000,
    maxBytes: policy.maxBytes ?? 16 * 1024 * 1024,
  };
}

/** How calls are gathered, with the defaults filled in. */
export function resolveBatch(policy: Pick<BatchPolicy, "maxSize" | "maxWaitMs">): BatchSettings {
  return { maxSize: policy.maxSize ?? 100, maxWaitMs: policy.maxWaitMs ?? 1 };
}

/** The statuses that a breaker takes for failures of the target. */
export function failureCodes(policy: BreakerPolicy = {}): ReadonlySet<StatusCode> {
  return toCodes(policy.codes, FAILURES);
}

/** An empty list is what protobuf makes of one that is not set. */
function toCodes(names: readonly (StatusName | string)[] = [], otherwise: readonly StatusName[]): Set<StatusCode> {
  const known = (names.length > 0 ? names : otherwise).map((name) => parseStatusName(name));
  return new Set(known.filter((name) => name !== undefined).map((name) => Status[name]));
}
