import { LONGEST_32_BIT_MS } from "../core/check-options.ts";
import { type AdaptiveLimitPolicy, type MethodPolicy, mergeSettings, type ServicePolicy } from "./policy.ts";
import type { RateLimitPolicy, ShedPolicy } from "./server-policy.ts";
import { checkAdaptiveLimit } from "./validate-isolation.ts";
import { count, oneOf, type Problem, positive } from "./value-checks.ts";

const CRITICALITIES = ["sheddable", "sheddable_plus", "critical", "critical_plus"];
const RATE_LIMIT_KEYS = ["identity", "peer", "method"];

/** All that is wrong with what a service says about how many calls it serves. */
export function checkServiceLoad({ rateLimit, shed, criticality }: ServicePolicy): Problem[] {
  return [...checkRateLimit(rateLimit), ...checkShed(shed), ...oneOf(["criticality"], criticality, CRITICALITIES)];
}

/** All that is wrong with what a method says about how many calls it serves, on top of what its service says. */
export function checkLoad({ rateLimit, shed, criticality }: MethodPolicy, service: ServicePolicy): Problem[] {
  return [
    ...checkInheritedRate(rateLimit, service.rateLimit),
    ...checkShed(shed),
    ...oneOf(["criticality"], criticality, CRITICALITIES),
  ];
}

/** All that is wrong with a rate limit by itself. */
export function checkRateLimit(limit: RateLimitPolicy | undefined): Problem[] {
  if (!limit) return [];
  const problems = [...checkRateValues(limit), ...(limit.calls === undefined ? [NO_CALLS] : [])];
  return problems.length > 0 ? problems : checkFill(limit);
}

/** What a method leaves out comes from its service. */
function checkInheritedRate(own: RateLimitPolicy | undefined, service: RateLimitPolicy | undefined): Problem[] {
  if (!own) return [];
  const problems = checkRateValues(own);
  if (problems.length > 0 || (service && checkRateLimit(service).length > 0)) return problems;
  return checkRateLimit(mergeSettings(service, own));
}

function checkRateValues({ calls, perMs, burst, key }: RateLimitPolicy): Problem[] {
  return [
    ...positive(["rateLimit", "calls"], calls),
    ...positive(["rateLimit", "perMs"], perMs),
    ...count(["rateLimit", "burst"], burst),
    ...oneOf(["rateLimit", "key"], key, RATE_LIMIT_KEYS),
  ];
}

/** How often is for those to say who know what a call costs. */
const NO_CALLS: Problem = { path: ["rateLimit"], message: "rate_limit has no calls: say how many there may be" };

/**
 * A bucket is one number for each key: what takes longer to fill than a pushback can say would be a quota, and belongs
 * into a database.
 */
function checkFill({ calls = 1, perMs = 1_000, burst = Math.ceil(calls) }: RateLimitPolicy): Problem[] {
  const fillMs = (burst * perMs) / calls;
  if (fillMs <= LONGEST_32_BIT_MS) return [];
  const message = `takes ${fillMs} ms to fill again, and it must be at most ${LONGEST_32_BIT_MS}: a bucket is forgotten with its process`;
  return [{ path: ["rateLimit"], message }];
}

/** All that is wrong with when a server refuses calls. */
export function checkShed(shed: ShedPolicy | undefined): Problem[] {
  if (!shed) return [];
  return [
    ...count(["shed", "maxConcurrent"], shed.maxConcurrent),
    ...(shed.maxConcurrent === undefined || shed.adaptive === undefined ? [] : [TWO_LIMITS]),
    ...checkAdaptive(shed.adaptive),
    ...count(["shed", "maxQueued"], shed.maxQueued, 0),
    ...positive(["shed", "maxWaitMs"], shed.maxWaitMs),
    ...checkWait(shed),
  ];
}

const TWO_LIMITS: Problem = {
  path: ["shed"],
  message: "max_concurrent and adaptive exclude each other: a limit is either fixed or follows the latency",
};

function checkAdaptive(adaptive: AdaptiveLimitPolicy | undefined): Problem[] {
  return checkAdaptiveLimit(adaptive).map(({ path, message }) => ({
    path: ["shed", "adaptive", ...path.slice(1)],
    message,
  }));
}

/** A wait that nobody comes to. */
function checkWait({ maxWaitMs, maxQueued = 0 }: ShedPolicy): Problem[] {
  if (maxWaitMs === undefined || maxQueued !== 0) return [];
  const message = "has no effect, since none may wait: set max_queued, or leave it out";
  return [{ path: ["shed", "maxWaitMs"], message }];
}
