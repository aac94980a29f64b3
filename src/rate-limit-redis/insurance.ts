import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { systemClock } from "../core/clock.ts";
import { TokenBuckets } from "../policy/token-bucket.ts";
import type { RateLimit } from "../server/index.ts";

/**
 * The library's in-memory insurance with our buckets in it, which hold a replica's share of a limit: the same bucket as
 * in Redis, 100,000 callers at most, and no timers. Its own windows keep one for each caller, of 24.8 days at most.
 */
export class BucketInsurance extends RateLimiterMemory {
  readonly #buckets: TokenBuckets;

  /** @param replicas among how many the limit is divided; each has one token of a bucket at least. */
  constructor({ name, calls, perMs, burst }: RateLimit, replicas: number) {
    // Nothing of the library's storage is used: it has to be told something.
    super({ keyPrefix: name, points: 1, duration: 1 });
    this.#buckets = new TokenBuckets(
      { calls: calls / replicas, perMs, burst: Math.max(1, burst / replicas) },
      systemClock,
    );
  }

  /** Takes a token. Rejects with a `RateLimiterRes` that says when there is one, if there is none. */
  override async consume(key: string | number): Promise<RateLimiterRes> {
    const waitMs = this.#buckets.take(String(key));
    if (waitMs > 0) throw new RateLimiterRes(0, waitMs, 1, false);
    return new RateLimiterRes(0, 0, 1, false);
  }
}
