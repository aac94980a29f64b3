import { DEADLINE_RESERVE_MS } from "../../core/deadline.ts";
import { RpcError } from "../../core/errors.ts";
import { Status } from "../../core/status.ts";

/** How much earlier than told a server may give up: it calls another, and so on, four deep, each leaving a reserve. */
const GIVEN_UP_EARLY_MS = 4 * DEADLINE_RESERVE_MS;

/**
 * Whether a call failed for the deadline that it was given. A DEADLINE_EXCEEDED of the server's is taken for that if it
 * comes when the time is all but over; one that comes earlier is about a shorter time of the server's own.
 *
 * @param remainingMs until that deadline, when the call failed.
 */
export function ranIntoDeadline(error: unknown, remainingMs: number): error is RpcError {
  if (!(error instanceof RpcError) || error.code !== Status.DEADLINE_EXCEEDED) return false;
  return error.reason === "DEADLINE_EXCEEDED" || remainingMs <= GIVEN_UP_EARLY_MS;
}
