import type { StatusCode } from "../core/status.ts";
import type { AdaptiveLimitPolicy, BatchPolicy, BulkheadPolicy, CachePolicy, ThrottlePolicy } from "./policy.ts";

/** The records of `policy.ts` with nothing left out: what each mechanism goes by. */

/** When further attempts are sent before the first has answered. */
export interface HedgeSettings {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  /** Wait for an answer before the next attempt is sent; `undefined`: the method's 95th percentile. */
  readonly delayMs: number | undefined;
  /** Statuses after which the next attempt is sent at once. */
  readonly nonFatalCodes: ReadonlySet<StatusCode>;
}

/** A bound on calls that are under way. A wait that ends with the call's deadline is infinite here. */
export type BulkheadSettings = Required<BulkheadPolicy>;

/** A bound on calls under way that follows the target's latency. */
export type AdaptiveLimitSettings = Required<AdaptiveLimitPolicy>;

/** When the client rejects calls itself. */
export type ThrottleSettings = Required<ThrottlePolicy>;

/** How long, and how many, answers are kept. */
export type CacheSettings = Required<CachePolicy>;

/** How calls are gathered. */
export type BatchSettings = Required<Pick<BatchPolicy, "maxSize" | "maxWaitMs">>;
