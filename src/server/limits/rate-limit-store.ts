import { type Clock, systemClock } from "../../core/clock.ts";
import { DEFAULT_MAX_KEYS, TokenBuckets } from "../../policy/token-bucket.ts";

/** What a bucket is filled by. */
export interface RateLimit {
  /** Of which limit it is: equal on all replicas for equal limits, such as `/shop.v1.Orders/GetOrder 10/1000/20`. */
  readonly name: string;
  /** How many calls in the time of `perMs`, for long. */
  readonly calls: number;
  /** In milliseconds. */
  readonly perMs: number;
  /** How many at once after a pause. */
  readonly burst: number;
}

/** Where the buckets of rate limits are kept: in this process, or where all of a service's replicas reach them. */
export interface RateLimitStore {
  /**
   * Takes one token of a caller's bucket.
   *
   * @param key whose bucket it is; empty where all callers share one.
   * @returns 0 if there was one, else in how many milliseconds there is one. At once, where that can be told at once;
   *   the call waits for a promise, no longer than its deadline. If it throws or rejects, the call goes on, and the
   *   server's `onError` is told.
   */
  take(limit: RateLimit, key: string): number | Promise<number>;
}

/** What `memoryRateLimit` takes. */
export interface MemoryRateLimitOptions {
  /**
   * How many callers of one limit are remembered whose buckets are not full, about 100 bytes each; the one that called
   * longest ago is forgotten first, and begins anew. Default: 100,000.
   */
  readonly maxKeys?: number | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Pick<Clock, "now"> | undefined;
}

/**
 * Keeps the buckets of rate limits in this process: each replica of a service then allows the whole limit.
 *
 * @throws TypeError for a number of keys below 1.
 */
export function memoryRateLimit(options: MemoryRateLimitOptions = {}): RateLimitStore {
  const { maxKeys = DEFAULT_MAX_KEYS, clock = systemClock } = options;
  if (!(maxKeys >= 1)) throw new TypeError(`memoryRateLimit: maxKeys must be at least 1; it is ${maxKeys}`);
  const limits = new Map<string, TokenBuckets>();
  return {
    take(limit, key) {
      let buckets = limits.get(limit.name);
      if (!buckets) {
        buckets = new TokenBuckets(limit, clock, maxKeys);
        limits.set(limit.name, buckets);
      }
      return buckets.take(key);
    },
  };
}
