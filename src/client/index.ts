export { breakersOf } from "./breakers-of.ts";
export { clientMiddleware, type MiddlewareCallOptions } from "./client-middleware.ts";
export type { ClientOptions, PipelineOptions } from "./client-options.ts";
export { closeClient, createClient } from "./create-client.ts";
export {
  type BearerOptions,
  bearer,
  type CachedTokenOptions,
  type CallCredentials,
  type CredentialAttempt,
  type Credentials,
  cachedToken,
  type ForwardOptions,
  forwardCallerToken,
  type IssuedToken,
  type Sent,
  type TokenSource,
} from "./credentials/index.ts";
export type { FallbacksOf } from "./fallbacks.ts";
export { type CircuitBreaker, type CircuitBreakerOptions, circuitBreaker } from "./middlewares/circuit-breaker.ts";
export { type HedgeCallOptions, type HedgeMiddlewareOptions, hedge } from "./middlewares/hedge-middleware.ts";
export {
  type IdempotencyKeyCallOptions,
  type IdempotencyKeyMiddlewareOptions,
  idempotencyKey,
} from "./middlewares/idempotency-middleware.ts";
export {
  type AdaptiveLimitMiddlewareOptions,
  adaptiveLimit,
  type BulkheadMiddlewareOptions,
  bulkhead,
  type ThrottleMiddlewareOptions,
  throttle,
} from "./middlewares/isolation-middlewares.ts";
export { type ResumeCallOptions, type ResumeMiddlewareOptions, resume } from "./middlewares/resume-middleware.ts";
export { type RetryCallOptions, type RetryMiddlewareOptions, retry } from "./middlewares/retry-middleware.ts";
export {
  type CacheCallOptions,
  type CacheMiddlewareOptions,
  type CoalesceCallOptions,
  type CoalesceMiddlewareOptions,
  cache,
  coalesce,
} from "./middlewares/sharing-middlewares.ts";
export { type StallMiddlewareOptions, stall } from "./middlewares/stall-middleware.ts";
export { settleAll } from "./settle-all.ts";
export type { SettleAllOptions, SettleCallOptions, Settled, SettledAll, SettleTask } from "./settling.ts";
export type {
  Changes,
  ClientBehind,
  ContractCallOptions,
  MethodChanges,
  PolicyChanges,
  ServiceChanges,
} from "./updates/policy-changes.ts";
export { updatePolicies } from "./updates/update-policies.ts";
