export {
  type AdaptiveLimitMiddlewareOptions,
  adaptiveLimit,
  type BearerOptions,
  type BulkheadMiddlewareOptions,
  bearer,
  breakersOf,
  bulkhead,
  type CacheCallOptions,
  type CachedTokenOptions,
  type CacheMiddlewareOptions,
  type CallCredentials,
  type Changes,
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type ClientBehind,
  type ClientOptions,
  type CoalesceCallOptions,
  type CoalesceMiddlewareOptions,
  type ContractCallOptions,
  type CredentialAttempt,
  type Credentials,
  cache,
  cachedToken,
  circuitBreaker,
  clientMiddleware,
  closeClient,
  coalesce,
  createClient,
  type FallbacksOf,
  type ForwardOptions,
  forwardCallerToken,
  type HedgeCallOptions,
  type HedgeMiddlewareOptions,
  hedge,
  type IdempotencyKeyCallOptions,
  type IdempotencyKeyMiddlewareOptions,
  type IssuedToken,
  idempotencyKey,
  type MethodChanges,
  type MiddlewareCallOptions,
  type PipelineOptions,
  type PolicyChanges,
  type ResumeCallOptions,
  type ResumeMiddlewareOptions,
  type RetryCallOptions,
  type RetryMiddlewareOptions,
  resume,
  retry,
  type Sent,
  type ServiceChanges,
  type SettleAllOptions,
  type SettleCallOptions,
  type Settled,
  type SettledAll,
  type SettleTask,
  type StallMiddlewareOptions,
  settleAll,
  stall,
  type ThrottleMiddlewareOptions,
  type TokenSource,
  throttle,
  updatePolicies,
} from "./client/index.ts";
export type { ClientOf, Contract, HandlersOf } from "./contract/contract.ts";
export type {
  AdaptiveLimitPolicy,
  BreakerPolicy,
  BulkheadPolicy,
  HeartbeatPolicy,
  HedgePolicy,
  IdempotencyKeyPolicy,
  MethodPolicy,
  ResumePolicy,
  RetryBudgetPolicy,
  RetryPolicy,
  RetryThrottlingPolicy,
  ServicePolicy,
  ThrottlePolicy,
} from "./contract/policy.ts";
export type { AuthPolicy, RateLimitPolicy, ShedPolicy } from "./contract/server-policy.ts";
export { anyDetail, type DetailMessage } from "./core/any-detail.ts";
export type { AttemptFailure, RetryStop } from "./core/attempts.ts";
export { type CallContext, currentCall, detached } from "./core/call-context.ts";
export type { CachedAnswer, CallOptions } from "./core/call-options.ts";
export type { Clock, Timer } from "./core/clock.ts";
export { CRITICALITY_KEY, type Criticality } from "./core/criticality.ts";
export { DRAIN_TRAILER, type FailOptions, fail, PUSHBACK, REFUSED_TRAILER, RpcError } from "./core/errors.ts";
export type { Idempotency, TransactionOf } from "./core/idempotency.ts";
export type { Identity, PeerCertificate } from "./core/identity.ts";
export { EncodedMessage, type IdempotencyLevel, type Method, type MethodKind } from "./core/method.ts";
export type { Observer, ObserverEvent } from "./core/observer.ts";
export type { Random } from "./core/random.ts";
export { type Reason, type ReasonRow, reasons } from "./core/reasons.ts";
export type { ResponseStream } from "./core/response-stream.ts";
export { Status, type StatusCode, type StatusName } from "./core/status.ts";
export type {
  AnyDetail,
  BadRequest,
  DebugInfo,
  ErrorInfo,
  FieldViolation,
  Help,
  HelpLink,
  LocalizedMessage,
  LocalizedText,
  PreconditionFailure,
  PreconditionViolation,
  QuotaFailure,
  QuotaViolation,
  RequestInfo,
  ResourceInfo,
  RetryInfo,
  StatusDetail,
  StatusDetailInit,
  StatusDetailOf,
  StatusDetailType,
} from "./core/status-detail.ts";
export { toAny } from "./core/status-detail-codec.ts";
export type { BreakerSnapshot } from "./policy/breaker.ts";
export type { BreakerState } from "./policy/breaker-permit.ts";
export type { Breakers } from "./policy/breaker-set.ts";
