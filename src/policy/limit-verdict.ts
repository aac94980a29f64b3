import type { RpcError } from "../core/errors.ts";
import { Status } from "../core/status.ts";
import type { LimitPermit } from "./adaptive-limit.ts";

/**
 * Gives a limit's permit back with what a failed attempt says about the target's load: a call that it turned away with
 * RESOURCE_EXHAUSTED, or did not answer in time, is one too many. Any other failure is no measure: it may be quicker
 * than an answer.
 *
 * @param excusedMs for how long of its time the process stood still.
 */
export function settleLimit(permit: LimitPermit, { code, reason }: RpcError, excusedMs: number): void {
  const isLoad = reason !== "MESSAGE_TOO_LARGE" && reason !== "RATE_LIMITED";
  if (code === Status.RESOURCE_EXHAUSTED && isLoad) permit.dropped();
  else if (code === Status.DEADLINE_EXCEEDED && reason !== "DEADLINE_BEFORE_SEND") permit.timedOut(excusedMs);
  else permit.ignore();
}

/** The caller has left: because its time was over, as `AbortSignal.timeout` says, or for a reason of its own. */
export function settleLimitLeft(permit: LimitPermit, reason: unknown, excusedMs: number): void {
  if (reason instanceof Error && reason.name === "TimeoutError") permit.timedOut(excusedMs);
  else permit.ignore();
}
