import type { Cluster, Redis } from "ioredis";
import { RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import { checkOptions, isCount, isFunction, isPositive, type OptionCheck, show } from "../core/check-options.ts";
import { tell } from "../core/warning.ts";
import type { RateLimit, RateLimitStore } from "../server/index.ts";
import { BucketInsurance } from "./insurance.ts";
import { TokenClient } from "./token-client.ts";

/** How buckets are shared through Redis. */
export interface RedisRateLimitOptions {
  /** What its keys begin with. Default: `bowline:rate-limit:`. */
  readonly prefix?: string | undefined;
  /**
   * How many replicas of the service there are expected to be: while Redis is away each allows its share of a limit.
   * Default: 1, by which each allows all of it.
   */
  readonly replicas?: number | undefined;
  /**
   * How long an answer of Redis is waited for, in milliseconds; after one that did not come in time Redis counts as away
   * for twenty times as long. Default: 50: a limit is to cost a call little.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Is told each time Redis could not be asked; what it throws becomes a process warning. Default: a process warning each
   * time that Redis goes away.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
}

const OPTIONS: Readonly<Record<keyof RedisRateLimitOptions, OptionCheck>> = {
  prefix: (value) => (typeof value === "string" && value !== "" ? undefined : `must be a text; it is ${show(value)}`),
  replicas: isCount,
  timeoutMs: isPositive,
  onError: isFunction,
};

/**
 * Keeps the buckets of rate limits in Redis, for all replicas of a service: `RateLimiterRedis` of
 * `rate-limiter-flexible`, with a script of ours in place of its own, so that a limit means the same as in one process.
 * It goes by Redis's clock.
 *
 * While Redis is away, each process counts for itself, in the same buckets, its share of the limit and of the burst: that
 * is the library's insurance. A client with `lazyConnect` connects when it is first asked. It does not close the client.
 *
 * @param redis of `ioredis`: a client or a cluster.
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function redisRateLimit(redis: Redis | Cluster, options: RedisRateLimitOptions = {}): RateLimitStore {
  const problems = [
    ...(typeof redis?.defineCommand === "function" ? [] : ["the first argument must be a client of ioredis"]),
    ...checkOptions(options, OPTIONS),
  ];
  if (problems.length > 0) throw new TypeError(`redisRateLimit: ${problems.join("; ")}`);
  const { prefix = "bowline:rate-limit:", replicas = 1, timeoutMs = 50, onError } = options;
  const client = new TokenClient(redis, timeoutMs, onError && ((error) => tell("onError threw", () => onError(error))));
  const limiters = new Map<string, RateLimiterRedis>();
  return {
    async take(limit, key) {
      let limiter = limiters.get(limit.name);
      if (!limiter) {
        limiter = limiterOf(limit, client, prefix, replicas);
        limiters.set(limit.name, limiter);
      }
      return takeOf(limiter, key);
    },
  };
}

async function takeOf(limiter: RateLimiterRedis, key: string): Promise<number> {
  try {
    await limiter.consume(key);
    return 0;
  } catch (rejected) {
    if (rejected instanceof RateLimiterRes) return Math.max(1, rejected.msBeforeNext);
    throw rejected;
  }
}

function limiterOf(limit: RateLimit, client: TokenClient, prefix: string, replicas: number): RateLimiterRedis {
  return new RateLimiterRedis({
    ...{ storeClient: client.of(limit), keyPrefix: `${prefix}${limit.name}`, points: limit.burst },
    // Whole seconds choose the library's script, in whose place ours stands; nothing else is made of them.
    duration: 1,
    insuranceLimiter: new BucketInsurance(limit, replicas),
  });
}
