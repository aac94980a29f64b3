import type { Method } from "../core/method.ts";
import {
  type AdaptiveLimitPolicy,
  type BulkheadPolicy,
  type CachePolicy,
  type MethodPolicy,
  mergeSettings,
  type ServicePolicy,
  type ThrottlePolicy,
} from "./policy.ts";
import { atLeast, atMost, count, notNegative, type Problem, positive, ratio } from "./value-checks.ts";

type Facts = Pick<Method, "kind" | "idempotency">;

/** All that is wrong with what a service says about the calls that are under way. */
export function checkServiceIsolation({ bulkhead, adaptiveLimit, throttle }: ServicePolicy): Problem[] {
  return [
    ...checkBulkhead(bulkhead),
    ...checkQueue(bulkhead),
    ...checkAdaptiveLimit(adaptiveLimit),
    ...checkThrottle(throttle),
  ];
}

/** All that is wrong with what a method says about calls that are under way, and about answers that calls share. */
export function checkIsolation(policy: MethodPolicy, method: Facts, service: ServicePolicy): Problem[] {
  const { bulkhead, coalesce, cache } = policy;
  // A method that does without its service's queue does without the wait too.
  const waits = bulkhead?.maxWaitMs === undefined ? undefined : mergeSettings(service.bulkhead, bulkhead);
  return [
    ...checkBulkhead(bulkhead),
    ...checkQueue(waits),
    ...(coalesce ? [...checkRead("coalesce", method), ...checkKey(policy)] : []),
    ...checkCache(cache),
    ...(cache ? checkRead("cache", method) : []),
  ];
}

/** All that is wrong with the numbers of a bulkhead. */
export function checkBulkhead(bulkhead: BulkheadPolicy | undefined): Problem[] {
  if (!bulkhead) return [];
  return [
    ...count(["bulkhead", "maxConcurrent"], bulkhead.maxConcurrent),
    ...count(["bulkhead", "maxQueued"], bulkhead.maxQueued, 0),
    ...positive(["bulkhead", "maxWaitMs"], bulkhead.maxWaitMs),
  ];
}

/** A wait that nobody comes to. */
function checkQueue(bulkhead: BulkheadPolicy | undefined): Problem[] {
  if (bulkhead?.maxWaitMs === undefined || (bulkhead.maxQueued ?? 0) !== 0) return [];
  const message = "has no effect, since none may wait: set max_queued, or leave it out";
  return [{ path: ["bulkhead", "maxWaitMs"], message }];
}

/** All that is wrong with a limit that follows the target's latency. */
export function checkAdaptiveLimit(limit: AdaptiveLimitPolicy | undefined): Problem[] {
  if (!limit) return [];
  const { initialLimit, minLimit, maxLimit } = limit;
  // What lies between two that are apart is not told twice.
  const between = initialLimit === undefined ? minLimit : undefined;
  return [
    ...count(["adaptiveLimit", "initialLimit"], initialLimit),
    ...count(["adaptiveLimit", "minLimit"], minLimit),
    ...count(["adaptiveLimit", "maxLimit"], maxLimit),
    ...atMost(["adaptiveLimit", "minLimit"], minLimit, "the initial limit", initialLimit),
    ...atMost(["adaptiveLimit", "initialLimit"], initialLimit, "the greatest limit", maxLimit),
    ...atMost(["adaptiveLimit", "minLimit"], between, "the greatest limit", maxLimit),
    ...atLeast(["adaptiveLimit", "tolerance"], limit.tolerance, 1, "as long as usual"),
    ...ratio(["adaptiveLimit", "smoothing"], limit.smoothing),
  ];
}

/** All that is wrong with the client's throttling. */
export function checkThrottle(throttle: ThrottlePolicy | undefined): Problem[] {
  if (!throttle) return [];
  return [
    ...atLeast(["throttle", "k"], throttle.k, 1, "or what is accepted would be rejected too"),
    ...positive(["throttle", "windowMs"], throttle.windowMs),
  ];
}

/** All that is wrong with a cache by itself. */
export function checkCache(cache: Partial<CachePolicy> | undefined): Problem[] {
  if (!cache) return [];
  return [
    ...(cache.ttlMs === undefined ? [NO_TTL] : positive(["cache", "ttlMs"], cache.ttlMs)),
    ...notNegative(["cache", "staleWhileRevalidateMs"], cache.staleWhileRevalidateMs),
    ...notNegative(["cache", "staleIfErrorMs"], cache.staleIfErrorMs),
    ...count(["cache", "maxEntries"], cache.maxEntries),
    ...count(["cache", "maxBytes"], cache.maxBytes),
  ];
}

/** How old an answer may be is for those to say who know what it means. */
const NO_TTL: Problem = { path: ["cache"], message: "cache has no ttl: say for how long an answer is fresh" };

/** Whoever is given another call's answer has not called. */
function checkRead(mechanism: "coalesce" | "cache", { kind, idempotency }: Facts): Problem[] {
  const problems: Problem[] = [];
  if (kind !== "unary") {
    const message = `${mechanism} on a ${kind} method: only one request and its one response can stand for others`;
    problems.push({ path: [mechanism], message });
  }
  if (idempotency !== "NO_SIDE_EFFECTS") {
    const message = `${mechanism} on a method that may have side effects, which calls would miss: set idempotency_level = NO_SIDE_EFFECTS if it has none`;
    problems.push({ path: [mechanism], message });
  }
  return problems;
}

function checkKey({ idempotencyKey }: MethodPolicy): Problem[] {
  if (!idempotencyKey) return [];
  const message =
    "coalesce and idempotency_key exclude each other: calls that share an attempt cannot each send a key of their own";
  return [{ path: ["coalesce"], message }];
}
