import type { AdaptiveLimitPolicy } from "./policy.ts";

export type { Criticality } from "../core/criticality.ts";

/** Who may call a method, on a server that authenticates its callers. Empty: anybody who is authenticated. */
export interface AuthPolicy {
  /** What the caller must be allowed, all of them: the scopes of its token. Default: none. */
  readonly scopes?: readonly string[] | undefined;
  /** Whether callers may come without authentication. Excludes scopes. Default: false. */
  readonly public?: boolean | undefined;
}

/** How often a method may be called: a token bucket for each caller. */
export interface RateLimitPolicy {
  /** How many calls in the time of `perMs`, for long; greater than zero. No default: method or service must say it. */
  readonly calls?: number | undefined;
  /** Default: 1,000. */
  readonly perMs?: number | undefined;
  /** How many at once after a pause: what the bucket holds. Default: `calls`, rounded up. */
  readonly burst?: number | undefined;
  /**
   * Whose calls of the method share a bucket: those of one caller, as authentication has it, which without it is the
   * peer; of one peer, the address without its port, of IPv6 its network of 64 bits; all of them. Default: `identity`.
   */
  readonly key?: "identity" | "peer" | "method" | undefined;
}

/** When a server refuses calls because it has too much to do. */
export interface ShedPolicy {
  /** How many may run at a time. Excludes `adaptive`. Default: a limit that follows the latency. */
  readonly maxConcurrent?: number | undefined;
  /** The limit that follows the latency. Default: the defaults of `AdaptiveLimitPolicy`. */
  readonly adaptive?: AdaptiveLimitPolicy | undefined;
  /** How many may wait, the most critical first, of those the one with the nearest deadline. Default: 0, none waits. */
  readonly maxQueued?: number | undefined;
  /** How long one may wait, where some may. Default: until the call's deadline. */
  readonly maxWaitMs?: number | undefined;
}
