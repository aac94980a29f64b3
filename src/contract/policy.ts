import type { StatusName } from "../core/status.ts";
import type { Jitter } from "../policy/backoff.ts";
import type { AuthPolicy, Criticality, RateLimitPolicy, ShedPolicy } from "./server-policy.ts";

/**
 * The records that `bowline.v1` options decode to. They say what the contract says: what is left out takes the
 * default named here when it is applied. Durations are in milliseconds.
 */

/** Retry by gRFC A6. */
export interface RetryPolicy {
  /** Attempts in all, the first included; at least 2, above 5 taken as 5. Default: 3 (SRE book, "Handling Overload"). */
  readonly maxAttempts?: number | undefined;
  /** Upper bound of the wait before the first retry. Default: 50. */
  readonly initialBackoffMs?: number | undefined;
  /** Upper bound of every wait. Default: 1,000, or `initialBackoffMs` if that is more. */
  readonly maxBackoffMs?: number | undefined;
  /** What the bound grows by from one retry to the next. Default: 2. */
  readonly multiplier?: number | undefined;
  /** How the wait is drawn from its bound. Default: `full` (fewest calls under contention). */
  readonly jitter?: Jitter | undefined;
  /** Statuses that are tried again. Default: `UNAVAILABLE` (AIP-194). */
  readonly codes?: readonly StatusName[] | undefined;
  /** How long one attempt may take; on a server-stream, until its first headers. Default: what is left of the call. */
  readonly attemptTimeoutMs?: number | undefined;
}

/** Hedging by gRFC A6; of unary methods. */
export interface HedgePolicy {
  /** Attempts in all, the first included; at least 2, above 5 taken as 5. Default: 2. */
  readonly maxAttempts?: number | undefined;
  /** Wait for an answer before the next attempt is sent, at most the timeout. Default: the method's 95th percentile. */
  readonly delayMs?: number | undefined;
  /** Statuses after which the next attempt is sent at once. Default: `UNAVAILABLE`. */
  readonly nonFatalCodes?: readonly StatusName[] | undefined;
}

/** When failures stop a target's retries (gRFC A6). */
export interface RetryThrottlingPolicy {
  /** Tokens at the start, and the most there are; above 0, at most 1,000. Default: 10. */
  readonly maxTokens?: number | undefined;
  /** Tokens that a success gives back; the third decimal is the last that counts. Default: 0.1. */
  readonly tokenRatio?: number | undefined;
}

/** How many extra attempts, retries and hedges together, the calls to a target may cause. */
export interface RetryBudgetPolicy {
  /** Extra attempts as a share of the calls in the window. Default: 0.1 (SRE book, "Handling Overload"). */
  readonly ratio?: number | undefined;
  /** How far back calls and extra attempts count. Default: 10,000. */
  readonly windowMs?: number | undefined;
  /** Extra attempts under way that are allowed whatever the share. Default: 3. */
  readonly minInFlight?: number | undefined;
}

/** Circuit breaker, in resilience4j's terms. */
export interface BreakerPolicy {
  /** Share of failed attempts at which it opens, above 0, at most 1. Default: 0.5. */
  readonly failureRatio?: number | undefined;
  /** Share of slow attempts at which it opens, above 0, at most 1. Default: 0.8. */
  readonly slowRatio?: number | undefined;
  /**
   * Longer than which an attempt is slow; on a stream, until its first message. Default: half of the method's timeout;
   * never for methods without one.
   */
  readonly slowMs?: number | undefined;
  /** How far back attempts count. Default: 10,000; with `windowCalls`, 600,000. */
  readonly windowMs?: number | undefined;
  /** If given, no more than so many of the last attempts count. Default: all in the window. */
  readonly windowCalls?: number | undefined;
  /** With fewer attempts in the window it stays closed. Default: 20, or `windowCalls` if that is less. */
  readonly minimumCalls?: number | undefined;
  /** How long it stays open the first time; doubled each time its trials fail, ±20 %. Default: 5,000. */
  readonly openMs?: number | undefined;
  /** Upper bound of the open time, before the ±20 %. Default: 60,000, or `openMs` if that is more. */
  readonly maxOpenMs?: number | undefined;
  /** How many trials decide, and how many of them are let through at a time. Default: 5. */
  readonly trials?: number | undefined;
  /**
   * After how long a trial that has not ended counts as failed; one of a stream, which may be quiet, as nothing.
   * Default: the method's timeout, at least 5,000; 60,000 for calls without a timeout.
   */
  readonly trialTimeoutMs?: number | undefined;
  /** Whether the methods of a service share a breaker; only for a service. Default: `method`. */
  readonly scope?: "method" | "service" | undefined;
  /**
   * Statuses that count as failures. Default: `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `INTERNAL`,
   * `UNKNOWN`.
   */
  readonly codes?: readonly StatusName[] | undefined;
  /** No breaker at all. Default: false. */
  readonly disabled?: boolean | undefined;
}

/** Resume of a server-stream: reopen it after the last message delivered. Fields have the contract's own names. */
export interface ResumePolicy {
  /** Of the request: takes the position to continue after. */
  readonly requestField: string;
  /**
   * Of the response: holds its position, which grows with each message. A number that does not is taken for one that
   * was delivered before, and its message is dropped.
   */
  readonly cursorField: string;
  /** Of the response, a bool: marks one that only moves the position on and is not delivered. Default: none. */
  readonly progressField?: string | undefined;
  /** Of the request, an integer: how many responses at most; 0 for all. Default: none. */
  readonly limitField?: string | undefined;
  /**
   * Whether a request without a position begins at the first message that there is, so that it can be sent again as it
   * was; otherwise it begins now, and what breaks before its position is known ends with `CURSOR_UNKNOWN`.
   * Default: false.
   */
  readonly fromStart?: boolean | undefined;
  /**
   * Statuses after which it is reopened. Default: `UNAVAILABLE`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `ABORTED`,
   * `INTERNAL`, `CANCELLED` (those of Pub/Sub's streams); the call's own deadline and cancellation end it.
   */
  readonly codes?: readonly StatusName[] | undefined;
  /** How often in a row it may break without a message in between. Default: 10 (Bigtable). */
  readonly maxFailures?: number | undefined;
  /** Upper bound of the wait before the first reopening. Default: 100. */
  readonly initialBackoffMs?: number | undefined;
  /** Upper bound of every wait. Default: 30,000, or `initialBackoffMs` if that is more. */
  readonly maxBackoffMs?: number | undefined;
  /** What the bound grows by from one reopening to the next. Default: 2. */
  readonly multiplier?: number | undefined;
  /** How the wait is drawn from its bound. Default: `full`. */
  readonly jitter?: Jitter | undefined;
}

/** Signs of life on a quiet server-stream. */
export interface HeartbeatPolicy {
  /** Of the response, a bool, in the contract's own name: marks a message that is nothing but a sign of life. */
  readonly field: string;
  /** After how long without a message the server sends one. Default: 10,000. */
  readonly intervalMs?: number | undefined;
  /** After how many intervals in a row without any message the client takes the stream for stalled. Default: 3. */
  readonly missed?: number | undefined;
}

/** A key per call, by which the server recognises a repetition. */
export interface IdempotencyKeyPolicy {
  /** How long the server keeps an answer. Default: 86,400,000 (a day). */
  readonly ttlMs?: number | undefined;
}

/** A bound on calls that are under way, and on those that wait for their turn. */
export interface BulkheadPolicy {
  /** How many may be under way at a time. Default: 25 (resilience4j). */
  readonly maxConcurrent?: number | undefined;
  /** How many may wait, in order of their arrival; one more is rejected. Default: 0, none waits. */
  readonly maxQueued?: number | undefined;
  /** How long one may wait, where some may. Default: until the call's deadline. */
  readonly maxWaitMs?: number | undefined;
}

/** A bound on calls under way that follows the target's latency: Gradient2 of Netflix's concurrency-limits. */
export interface AdaptiveLimitPolicy {
  /** Where it begins. Default: 20, or the nearer of the other two where that is outside them. */
  readonly initialLimit?: number | undefined;
  /** It never falls below. Default: 5, or the least of the other two that are given if that is less. */
  readonly minLimit?: number | undefined;
  /** It never rises above. Default: 200, or the greatest of the other two that are given if that is more. */
  readonly maxLimit?: number | undefined;
  /** How much longer than usual calls may take before it falls; a ratio of at least 1. Default: 1.5. */
  readonly tolerance?: number | undefined;
  /** How much of each new estimate is taken, above 0, at most 1. Default: 0.2. */
  readonly smoothing?: number | undefined;
}

/** Rejects calls in the client while the target rejects them (SRE book, "Handling Overload"). */
export interface ThrottlePolicy {
  /** How many requests there may be for each that is accepted; at least 1. Default: 2. */
  readonly k?: number | undefined;
  /** How far back requests count. Default: 120,000. */
  readonly windowMs?: number | undefined;
}

/** Calls with equal requests that are under way at a time share one attempt. Nothing about it can be set. */
export type CoalescePolicy = Readonly<Record<string, never>>;

/** Answers kept by method, request and identity, in the client. */
export interface CachePolicy {
  /** How long an answer is fresh; greater than zero, and no default. */
  readonly ttlMs: number;
  /** For how long after that it may still be given while a newer one is fetched (RFC 5861). Default: 0. */
  readonly staleWhileRevalidateMs?: number | undefined;
  /** For how long after `ttlMs` it may still be given when the call fails (RFC 5861). Default: 0. */
  readonly staleIfErrorMs?: number | undefined;
  /** How many answers are kept; the one that was used least recently goes first. Default: 1,000. */
  readonly maxEntries?: number | undefined;
  /** How many bytes they may have, as encoded. Default: 16 MiB. */
  readonly maxBytes?: number | undefined;
}

/** Gathers calls into calls of a method that takes many. Fields and method have the contract's own names. */
export interface BatchPolicy {
  /** The method that takes many, such as `BatchGetOrders`: unary, and not batched itself. */
  readonly method: string;
  /** Of its request: a list of this method's requests. */
  readonly requestsField: string;
  /** Of its response: a list with one entry for each request, in their order. */
  readonly responsesField: string;
  /** Of an entry: this method's response. Default: entries are responses themselves. */
  readonly responseField?: string | undefined;
  /** Of an entry: a `google.rpc.Status`. Default: single requests do not fail. */
  readonly statusField?: string | undefined;
  /** How many calls are gathered at most; at least 2. Default: 100. */
  readonly maxSize?: number | undefined;
  /** How long a call waits for others. Default: 1. */
  readonly maxWaitMs?: number | undefined;
}

/** What a service says for all of its methods. */
export interface ServicePolicy {
  /** For unary and client-stream methods. Default: 10,000. */
  readonly timeoutMs?: number | undefined;
  readonly breaker?: BreakerPolicy | undefined;
  readonly retryThrottling?: RetryThrottlingPolicy | undefined;
  readonly retryBudget?: RetryBudgetPolicy | undefined;
  readonly bulkhead?: BulkheadPolicy | undefined;
  readonly adaptiveLimit?: AdaptiveLimitPolicy | undefined;
  readonly throttle?: ThrottlePolicy | undefined;
  readonly auth?: AuthPolicy | undefined;
  readonly rateLimit?: RateLimitPolicy | undefined;
  readonly shed?: ShedPolicy | undefined;
  /** Of calls whose caller does not say. Default: `critical`. */
  readonly criticality?: Criticality | undefined;
}

/** What one method says. */
export interface MethodPolicy {
  /** Default: the service's for methods with one response; none for streams. */
  readonly timeoutMs?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
  readonly hedge?: HedgePolicy | undefined;
  readonly breaker?: BreakerPolicy | undefined;
  readonly resume?: ResumePolicy | undefined;
  readonly heartbeat?: HeartbeatPolicy | undefined;
  readonly idempotencyKey?: IdempotencyKeyPolicy | undefined;
  readonly bulkhead?: BulkheadPolicy | undefined;
  readonly coalesce?: CoalescePolicy | undefined;
  readonly cache?: CachePolicy | undefined;
  readonly batch?: BatchPolicy | undefined;
  readonly auth?: AuthPolicy | undefined;
  readonly rateLimit?: RateLimitPolicy | undefined;
  readonly shed?: ShedPolicy | undefined;
  /** Of calls whose caller does not say. Default: the service's, else `critical`. */
  readonly criticality?: Criticality | undefined;
}

/** The timeout of a call that nobody else gave one, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/** What holds for one method: its own setting, else its service's. Streams take no timeout from their service. */
export function mergePolicy(service: ServicePolicy, method: MethodPolicy, responseStream: boolean): MethodPolicy {
  const inherited = responseStream ? undefined : service.timeoutMs;
  const timeoutMs = method.timeoutMs ?? inherited;
  const breaker = mergeSettings(service.breaker, method.breaker);
  const bulkhead = mergeSettings(service.bulkhead, method.bulkhead);
  const rateLimit = mergeSettings(service.rateLimit, method.rateLimit);
  const criticality = method.criticality ?? service.criticality;
  // As a whole: of scopes that were said apart, nobody could see who may call.
  const auth = method.auth ?? service.auth;
  return {
    ...method,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(breaker === undefined ? {} : { breaker }),
    ...(bulkhead === undefined ? {} : { bulkhead }),
    ...(auth === undefined ? {} : { auth }),
    ...(rateLimit === undefined ? {} : { rateLimit }),
    ...(criticality === undefined ? {} : { criticality }),
  };
}

/** A method's settings, and its service's where the method says nothing; undefined if neither has any. */
export function mergeSettings<Policy extends object>(
  service: Policy | undefined,
  own: Policy | undefined,
): Policy | undefined {
  if (!service || !own) return own ?? service;
  const said = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...service, ...(Object.fromEntries(said) as Partial<Policy>) };
}
