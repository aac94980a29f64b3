import type { RetryStop } from "../../core/attempts.ts";
import type { CallOptions } from "../../core/call-options.ts";
import type { Reason } from "../../core/reasons.ts";

/** What the client itself refuses an attempt with: never tried again (rule R10). */
export const REJECTIONS: ReadonlySet<Reason> = new Set([
  "BREAKER_OPEN",
  "BULKHEAD_FULL",
  "LIMIT_REACHED",
  "CLIENT_THROTTLED",
  "RETRY_THROTTLED",
  "RETRY_BUDGET_EXHAUSTED",
  "DEADLINE_BEFORE_RETRY",
  "DEADLINE_BEFORE_SEND",
  "REQUEST_NOT_ENCODABLE",
  "NO_CREDENTIALS",
  "CLIENT_CLOSED",
]);

/** Those of them that pass: a stream that was open waits for its turn (rule S4). */
export const PASSING: ReadonlySet<Reason> = new Set([
  "BREAKER_OPEN",
  "BULKHEAD_FULL",
  "LIMIT_REACHED",
  "CLIENT_THROTTLED",
]);

/** The reason of a failure that our own decision kept from being tried again. */
export const STOP_REASONS: Partial<Record<RetryStop, Reason>> = {
  THROTTLED: "RETRY_THROTTLED",
  BUDGET: "RETRY_BUDGET_EXHAUSTED",
  DEADLINE: "DEADLINE_BEFORE_RETRY",
};

/** How many attempts a call allows: it can only narrow what the contract says. */
export function mostAttempts({ retry, maxAttempts }: CallOptions): number {
  return retry === false ? 1 : (maxAttempts ?? Number.POSITIVE_INFINITY);
}
