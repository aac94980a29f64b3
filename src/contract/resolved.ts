import type { Filled } from "../core/check-options.ts";
import type { AdaptiveLimitPolicy, BatchPolicy, BulkheadPolicy, CachePolicy, ThrottlePolicy } from "./policy.ts";

/** The records of `policy.ts` with nothing left out: what each mechanism goes by. */

/** A bound on calls that are under way. A wait that ends with the call's deadline is infinite here. */
export type BulkheadSettings = Filled<BulkheadPolicy>;

/** A bound on calls under way that follows the target's latency. */
export type AdaptiveLimitSettings = Filled<AdaptiveLimitPolicy>;

/** When the client rejects calls itself. */
export type ThrottleSettings = Filled<ThrottlePolicy>;

/** How long, and how many, answers are kept. */
export type CacheSettings = Filled<CachePolicy>;

/** How calls are gathered. */
export type BatchSettings = Filled<Pick<BatchPolicy, "maxSize" | "maxWaitMs">>;
