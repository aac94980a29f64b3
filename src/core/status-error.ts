import type { Metadata } from "nice-grpc-common";
import { DRAIN_TRAILER, RpcError } from "./errors.ts";
import type { Reason } from "./reasons.ts";
import { Status, toStatusCode } from "./status.ts";

/** What a transport knows when an attempt ends with a status that is not OK. */
export interface FailedStatus {
  readonly path: string;
  readonly code: number;
  readonly details: string;
  /** Whether response headers had come. */
  readonly headersReceived: boolean;
  readonly trailer: Metadata;
  /** Whether the transport itself says so: the connection or the stream broke. */
  readonly broken: boolean;
  /** Whether the call's deadline has passed. */
  readonly expired: boolean;
}

/**
 * The error of an attempt that failed. A status came off the wire if headers had come or trailers came with it, and
 * nothing broke; otherwise grpc-js made it. A CANCELLED after the deadline is a DEADLINE_EXCEEDED (rule D2).
 */
export function statusError(status: FailedStatus): RpcError {
  const { path, headersReceived, trailer } = status;
  const origin = !status.broken && (headersReceived || !isEmpty(trailer)) ? "wire" : "local";
  const code = toStatusCode(status.code);
  const expired = code === Status.DEADLINE_EXCEEDED || (status.expired && code === Status.CANCELLED);
  if (expired && (status.expired || origin === "local")) {
    const details = status.details || "deadline exceeded";
    return new RpcError({ path, reason: "DEADLINE_EXCEEDED", details, origin, headersReceived, trailer });
  }
  const reason = origin === "wire" ? wireReason(trailer) : localReason(code);
  return new RpcError({ path, reason, code, origin, details: status.details, headersReceived, trailer });
}

function wireReason(trailer: Metadata): Reason {
  return trailer.has(DRAIN_TRAILER) ? "DRAINING" : "STATUS";
}

function localReason(code: number): Reason {
  return code === Status.CANCELLED ? "CANCELLED" : "TRANSPORT";
}

function isEmpty(metadata: Metadata): boolean {
  for (const _ of metadata) return false;
  return true;
}
