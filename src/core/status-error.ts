import type { Metadata } from "nice-grpc-common";
import { DRAIN_TRAILER, PUSHBACK, REFUSED_TRAILER, RpcError } from "./errors.ts";
import type { Reason } from "./reasons.ts";
import { Status, toStatusCode } from "./status.ts";

/**
 * Why a transport made a status itself: no connection took the call, connection or stream broke, the server found the
 * call to be too much, the deadline passed, a response was too large, a request could not be encoded.
 */
export type LocalCause = "unsent" | "broken" | "too-much" | "deadline" | "too-large" | "not-encodable";

/** What HTTP/2 says with ENHANCE_YOUR_CALM, in terms of calls; what a transport says of it leads nowhere. */
const TOO_MUCH =
  "the server reset the call (HTTP/2 ENHANCE_YOUR_CALM): its metadata is more than the server takes, or there are more calls than it takes";

/** What a transport knows when an attempt ends with a status that is not OK. */
export interface FailedStatus {
  readonly path: string;
  readonly code: number;
  readonly details: string;
  /** Whether response headers had come. */
  readonly headersReceived: boolean;
  readonly trailer: Metadata;
  /** Whether the status's details say that the transport made it itself, and why. */
  readonly cause: LocalCause | undefined;
  /** Whether the call's deadline has passed. */
  readonly expired: boolean;
}

/**
 * The error of an attempt that failed. A status came off the wire if trailers came with it, or headers before it and
 * nothing says otherwise; else the transport made it. Whatever is about the deadline once it has passed is a
 * DEADLINE_EXCEEDED of our own, a CANCELLED too (rule D2).
 */
export function statusError(status: FailedStatus): RpcError {
  const { path, headersReceived, trailer } = status;
  const code = toStatusCode(status.code);
  const local = isEmpty(trailer) && (!headersReceived || status.cause !== undefined);
  const tooMuch = local && status.cause === "too-much";
  const details = tooMuch ? TOO_MUCH : status.details;
  const late = code === Status.DEADLINE_EXCEEDED || code === Status.CANCELLED;
  if ((status.expired && late) || (local && code === Status.DEADLINE_EXCEEDED)) {
    const text = details || "deadline exceeded";
    return new RpcError({ path, reason: "DEADLINE_EXCEEDED", details: text, headersReceived, trailer });
  }
  const reason = local ? localReason(code, status.cause) : wireReason(code, trailer);
  const attempts = reason === "REQUEST_NOT_ENCODABLE" ? 0 : 1;
  const sent = headersReceived || !local || (status.cause !== "unsent" && attempts > 0);
  const retryAfterMs = reason === "RATE_LIMITED" || reason === "SHED" ? refusedFor(trailer) : undefined;
  const cause = tooMuch ? new Error(status.details) : undefined;
  return new RpcError({ path, reason, code, details, attempts, headersReceived, trailer, sent, retryAfterMs, cause });
}

/** The time that a server's refusal names; undefined if it says none, or that there is to be no other attempt. */
function refusedFor(trailer: Metadata): number | undefined {
  const [said, ...further] = trailer.getAll(PUSHBACK).map(String);
  return said !== undefined && further.length === 0 && /^\d{1,10}$/.test(said) ? Number(said) : undefined;
}

function wireReason(code: number, trailer: Metadata): Reason {
  if (trailer.has(DRAIN_TRAILER)) return "DRAINING";
  const refused = code === Status.RESOURCE_EXHAUSTED ? trailer.get(REFUSED_TRAILER) : undefined;
  return refused === "RATE_LIMITED" || refused === "SHED" ? refused : "STATUS";
}

function localReason(code: number, cause: LocalCause | undefined): Reason {
  if (cause === "too-large") return "MESSAGE_TOO_LARGE";
  if (cause === "not-encodable") return "REQUEST_NOT_ENCODABLE";
  return code === Status.CANCELLED ? "CANCELLED" : "TRANSPORT";
}

function isEmpty(metadata: Metadata): boolean {
  for (const _ of metadata) return false;
  return true;
}
