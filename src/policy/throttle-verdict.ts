import type { RpcError } from "../core/errors.ts";
import type { Reason } from "../core/reasons.ts";
import { Status } from "../core/status.ts";
import type { ThrottlePermit } from "./client-throttle.ts";

/** What says nothing about whether the target accepts calls. */
const SAYS_NOTHING: ReadonlySet<Reason> = new Set(["DRAINING", "UNEXPECTED", "CANCELLED", "CLIENT_CLOSED"]);

/**
 * Gives a throttle's permit back with what a failed call says: UNAVAILABLE and RESOURCE_EXHAUSTED are rejections of the
 * target's, and what never was attempted says nothing. Whatever else it ended with, the target had taken it on.
 */
export function settleThrottle(permit: ThrottlePermit, { code, reason, attempts }: RpcError): void {
  const isRejection = code === Status.UNAVAILABLE || code === Status.RESOURCE_EXHAUSTED;
  if (attempts === 0 || SAYS_NOTHING.has(reason)) permit.ignore();
  else if (isRejection && reason !== "MESSAGE_TOO_LARGE") permit.failure();
  else permit.success();
}
