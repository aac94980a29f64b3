import type { AttemptFailure, RetryStop } from "../../core/attempts.ts";
import { type Cursor, showCursor } from "../../core/cursor.ts";
import type { RpcError } from "../../core/errors.ts";
import { type Reason, reasons } from "../../core/reasons.ts";
import type { ResumeStop } from "../../policy/resume.ts";

/** How an error tells why the stream was not reopened. */
const STOPS: Record<ResumeStop, { readonly reason?: Reason; readonly retryStop?: RetryStop }> = {
  NOT_RESUMABLE: {},
  CURSOR_EXPIRED: { reason: "CURSOR_EXPIRED" },
  CURSOR_UNKNOWN: { reason: "CURSOR_UNKNOWN" },
  PUSHBACK: { retryStop: "PUSHBACK" },
  MAX_FAILURES: { retryStop: "MAX_ATTEMPTS" },
  DEADLINE: { reason: "DEADLINE_BEFORE_RETRY", retryStop: "DEADLINE" },
};

/**
 * What a stream ends with that is not reopened: its last failure, and why it is the last. Where the position is the
 * matter, the text says that first, and then what the failure says; `failures` have the latter as it was.
 *
 * @param cursor the position that it would have continued after, if it is known.
 */
export function stoppedBy(
  failure: RpcError,
  stop: ResumeStop,
  cursor: Cursor | undefined,
  failures: readonly AttemptFailure[],
): RpcError {
  const { reason, retryStop } = STOPS[stop];
  const problem = problemOf(stop, cursor);
  return failure.with({
    ...(reason && { reason, origin: reasons[reason].origin }),
    ...(retryStop && { retryStop }),
    ...(problem && { details: failure.details ? `${problem}: ${failure.details}` : problem }),
    ...(stop === "CURSOR_EXPIRED" && { cursor }),
    ...{ attempts: failures.length, failures },
  });
}

function problemOf(stop: ResumeStop, cursor: Cursor | undefined): string | undefined {
  if (stop === "CURSOR_EXPIRED") return `the server cannot continue after position ${showCursor(cursor)}`;
  if (stop !== "CURSOR_UNKNOWN") return undefined;
  const ways = "give the request a position, have the handler call context.pin, or say from_start in the contract";
  return `the stream broke before it was known where it began, and is not resumed; ${ways}`;
}
