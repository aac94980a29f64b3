import type { Reason } from "./reasons.ts";
import type { StatusCode } from "./status.ts";

/** How one attempt of a call failed. */
export interface AttemptFailure {
  /** Which attempt it was, from 1. */
  readonly attempt: number;
  readonly code: StatusCode;
  readonly reason: Reason;
  readonly details: string;
}

/**
 * Why a call that may be retried was not tried again:
 *
 * - `NOT_RETRYABLE`: the policy does not retry this status;
 * - `MAX_ATTEMPTS`: the policy or the call allows no more attempts;
 * - `COMMITTED`: response headers had come (gRFC A6);
 * - `PUSHBACK`: the server said not to retry;
 * - `THROTTLED`: too many of the target's attempts fail; reason `RETRY_THROTTLED`;
 * - `BUDGET`: too many extra attempts for the target's calls; reason `RETRY_BUDGET_EXHAUSTED`;
 * - `DEADLINE`: the wait before the next attempt does not fit what is left; reason `DEADLINE_BEFORE_RETRY`;
 * - `REJECTED`: the client itself refused the attempt: reason `BREAKER_OPEN`, `REQUEST_NOT_ENCODABLE` …
 */
export type RetryStop =
  | "NOT_RETRYABLE"
  | "MAX_ATTEMPTS"
  | "COMMITTED"
  | "PUSHBACK"
  | "THROTTLED"
  | "BUDGET"
  | "DEADLINE"
  | "REJECTED";
