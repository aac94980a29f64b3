import type { Clock } from "../core/clock.ts";

/** How often something may be done. */
export interface TokenBucketOptions {
  /** How many times in the time of `perMs`, for long. */
  readonly calls: number;
  /** In milliseconds. */
  readonly perMs: number;
  /** How many at once after a pause: what a bucket holds. */
  readonly burst: number;
}

/** What a set of buckets stands at. */
export interface TokenBucketSnapshot {
  /** How many keys are remembered: those whose buckets are not full, and some that have filled up since. */
  readonly keys: number;
}

/** How many keys are remembered unless said otherwise: about 10 MB of them. */
export const DEFAULT_MAX_KEYS = 100_000;

/** How many of the keys that were asked for longest ago each question looks at: more than it can add. */
const SWEEP = 2;

/**
 * A token bucket for each key: it holds `burst` tokens, gets `calls` new ones in the time of `perMs`, and each call
 * takes one. A bucket is one number, the instant at which it will be full again (GCRA, ITU-T I.371): what it holds
 * follows from that, fractions of a token too, and nothing runs while nobody asks.
 *
 * A full bucket is like one that never was, so it is forgotten. Where more keys than may be remembered have buckets
 * that are not full, the one that was asked for longest ago is forgotten first: a caller that is over its rate asks
 * often, and is not forgotten by a flood of others.
 */
export class TokenBuckets {
  readonly #clock: Pick<Clock, "now">;
  readonly #tokenMs: number;
  readonly #fillMs: number;
  readonly #maxKeys: number;
  /** When each bucket is full again; in the order in which they were last asked for. */
  readonly #fullAt = new Map<string, number>();

  /** @param maxKeys how many keys are remembered at most. */
  constructor(
    { calls, perMs, burst }: TokenBucketOptions,
    clock: Pick<Clock, "now">,
    maxKeys: number = DEFAULT_MAX_KEYS,
  ) {
    this.#tokenMs = perMs / calls;
    this.#fillMs = burst * this.#tokenMs;
    this.#clock = clock;
    this.#maxKeys = maxKeys;
  }

  /** Takes a token of a key's bucket. @returns 0 if there was one, else in how many milliseconds there is one. */
  take(key: string): number {
    const now = this.#clock.now();
    const fullAt = this.#fullAtOf(key, now);
    const next = fullAt + this.#tokenMs;
    const waitMs = next - this.#fillMs - now;
    // What instants of this size are rounded by is no wait.
    const taken = waitMs <= (Math.abs(now) + this.#fillMs) * Number.EPSILON * 4;
    this.#fullAt.delete(key);
    this.#fullAt.set(key, taken ? next : fullAt);
    this.#forget(now);
    return taken ? 0 : waitMs;
  }

  snapshot(): TokenBucketSnapshot {
    return { keys: this.#fullAt.size };
  }

  /** A clock that was set back leaves buckets that would be full too late: none takes longer than an empty one. */
  #fullAtOf(key: string, now: number): number {
    const fullAt = this.#fullAt.get(key) ?? now;
    return Math.min(Math.max(fullAt, now), now + this.#fillMs);
  }

  #forget(now: number): void {
    let looked = 0;
    for (const [key, fullAt] of this.#fullAt) {
      looked += 1;
      if (looked > SWEEP) return;
      if (fullAt <= now || this.#fullAt.size > this.#maxKeys) this.#fullAt.delete(key);
    }
  }
}
