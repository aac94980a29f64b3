import type { ShedderOptions } from "../policy/shedding.ts";
import type { TokenBucketOptions } from "../policy/token-bucket.ts";
import { resolveAdaptiveLimit } from "./resolve.ts";
import type { AdaptiveLimitSettings } from "./resolved.ts";
import type { RateLimitPolicy, ShedPolicy } from "./server-policy.ts";

/** A rate limit with its defaults filled in. */
export interface RateLimitSettings extends TokenBucketOptions {
  readonly key: NonNullable<RateLimitPolicy["key"]>;
}

/** When a server refuses calls, with the defaults filled in. */
export interface ShedSettings extends Pick<ShedderOptions, "maxQueued"> {
  /** How many may run at a time, or how that follows the latency. */
  readonly limit: number | AdaptiveLimitSettings;
  /** How long one may wait, in milliseconds; infinite where the call's deadline ends the wait. */
  readonly maxWaitMs: number;
}

/**
 * From which delay of the event loop on what matters least is refused, in milliseconds: a loop that lags so long adds
 * as much to each step of each call. A server that does well lags for a tenth of it.
 */
export const LOOP_DELAY_MS = 100;

/** A rate limit with its defaults filled in; one without `calls` limits nothing, and is refused before it comes here. */
export function resolveRateLimit(policy: RateLimitPolicy): RateLimitSettings {
  const { calls = 1, perMs = 1_000, key = "identity" } = policy;
  return { calls, perMs, burst: policy.burst ?? Math.ceil(calls), key };
}

/** When a server refuses calls, with the defaults filled in. */
export function resolveShed(policy: ShedPolicy): ShedSettings {
  return {
    limit: policy.maxConcurrent ?? resolveAdaptiveLimit(policy.adaptive),
    maxQueued: policy.maxQueued ?? 0,
    maxWaitMs: policy.maxWaitMs ?? Number.POSITIVE_INFINITY,
  };
}
