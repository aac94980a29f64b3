import type { AttemptFailure, RetryStop } from "../../core/attempts.ts";
import type { RpcError } from "../../core/errors.ts";
import { STOP_REASONS } from "./attempt-rules.ts";

/** What is known of the attempts of a call that makes no more of them. */
export interface EndedAttempts {
  /** What each that was sent ended with, oldest first. */
  readonly failures: readonly AttemptFailure[];
  /** What the client itself refused another one with, if that is why there is none. */
  readonly rejection?: RpcError | undefined;
  /** The server's word on when to make another, in milliseconds. */
  readonly pushbackMs?: number | undefined;
}

/**
 * What a call ends with: the last failure that an attempt had, and why there is no further attempt. Where the server
 * said when to come again, and that did not fit the deadline, it says so.
 */
export function endedBy(
  retryStop: RetryStop,
  said: RpcError,
  { failures, rejection, pushbackMs }: EndedAttempts,
): RpcError {
  const own = rejection ? rejection.reason : STOP_REASONS[retryStop];
  const passed = retryStop === "DEADLINE" && said.reason === "DEADLINE_EXCEEDED";
  const reason = own === undefined || passed ? {} : { reason: own, origin: "local" as const };
  const waitMs = retryStop === "DEADLINE" ? pushbackMs : undefined;
  const retryAfterMs = (rejection ?? said).retryAfterMs ?? waitMs;
  return said.with({ ...reason, attempts: failures.length, failures, retryStop, retryAfterMs });
}
