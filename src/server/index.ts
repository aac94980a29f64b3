export { CredentialError } from "../core/credential-error.ts";
export type { ClaimOutcome, ClaimTerms } from "../policy/idempotency.ts";
export { certificateInterceptor, deadlineInterceptor } from "../transport/index.ts";
export { allOf } from "./authentication/all-of.ts";
export type {
  Authentication,
  Authenticator,
  Authenticators,
  UnidentifiedCall,
} from "./authentication/authenticator.ts";
export { type MtlsOptions, mtls } from "./authentication/mtls.ts";
export { createServer, type DrainResult, Server } from "./create-server.ts";
export type { DrainOptions } from "./drain-options.ts";
export type { CheckDepth, HealthCheck, HealthCheckContext, HealthCheckOptions } from "./health/check-options.ts";
export type { HealthCheckResult } from "./health/check-runner.ts";
export { Health, type ServingStatus } from "./health/health.ts";
export { type HeartbeatMiddlewareOptions, heartbeat } from "./heartbeat-middleware.ts";
export { type MemoryIdempotencyOptions, memoryIdempotency } from "./idempotency/memory-store.ts";
export type { IdempotencyOptions } from "./idempotency/options.ts";
export type { Claim, ClaimWish, IdempotencyId, IdempotencyStore } from "./idempotency/store.ts";
export { type IdempotencyContext, type IdempotencyMiddlewareOptions, idempotency } from "./idempotency-middleware.ts";
export type { RateLimitOptions, ShedOptions } from "./limits/load-options.ts";
export {
  type MemoryRateLimitOptions,
  memoryRateLimit,
  type RateLimit,
  type RateLimitStore,
} from "./limits/rate-limit-store.ts";
export {
  type RateLimitMiddlewareOptions,
  rateLimit,
  type ShedMiddlewareOptions,
  shed,
} from "./load-middlewares.ts";
export { type MiddlewareContext, type ServerMiddlewareOptions, serverMiddleware } from "./server-middleware.ts";
export type { ListenOptions, ServerOptions } from "./server-options.ts";
export type { MessageCheck, Validation } from "./validation/validation.ts";
export { validate } from "./validation-middleware.ts";
