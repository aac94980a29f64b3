import { PUSHBACK, RpcError, type TrailerInit } from "../core/errors.ts";
import type { Reason } from "../core/reasons.ts";
import { Status } from "../core/status.ts";

/** What a server's own layers and its handlers refuse with: told as it is. */
const TOLD: ReadonlySet<Reason> = new Set(["REFUSED", "SLOW_SUBSCRIBER", "UNAUTHENTICATED", "PERMISSION_DENIED"]);

/** What a server says of itself, and clients say of theirs. */
const OWN: ReadonlySet<Reason> = new Set(["DRAINING", "RATE_LIMITED", "SHED"]);

/**
 * What the client is told when a handler threw. A refusal is told word for word, and so is that a broadcast's
 * subscriber is too slow. A failed call of the handler's own becomes INTERNAL with pushback −1, so that layers of
 * services do not multiply retries; a passed deadline and a cancellation keep their code. Of anything else only INTERNAL
 * is told, never its text: also of an abort that is not the call's own, such as that of a fetch that gave up; and of
 * what cannot even be looked at, such as a revoked Proxy.
 */
export function toAnswer(error: unknown, path: string): RpcError {
  try {
    return answerTo(error, path);
  } catch {
    return unexpected(error, path);
  }
}

function answerTo(error: unknown, path: string): RpcError {
  const known = isOurs(error) ? RpcError.from(error, path) : unexpected(error, path);
  if (TOLD.has(known.reason)) return known;
  // A drain or a limit of our own, not that of a server which the handler called.
  if (OWN.has(known.reason) && known.origin === "local") return known;
  if (known.code === Status.DEADLINE_EXCEEDED || known.code === Status.CANCELLED) {
    const what = known.code === Status.CANCELLED ? "was cancelled" : "ran into its deadline";
    const details = `a call made while serving this one ${what}`;
    return new RpcError({ path, reason: "UNEXPECTED", code: known.code, details, cause: error });
  }
  const sendTrailer = known.reason === "UNEXPECTED" ? undefined : { [PUSHBACK]: "-1" };
  return unexpected(error, path, sendTrailer);
}

/** An error of gRPC, ours or nice-grpc's. */
function isOurs(error: unknown): boolean {
  return !(error instanceof Error && error.name === "AbortError");
}

function unexpected(cause: unknown, path: string, sendTrailer?: TrailerInit): RpcError {
  return new RpcError({ path, reason: "UNEXPECTED", details: "internal error", sendTrailer, cause });
}

/** Whether the operator should hear of it: the client was told INTERNAL, and nothing of why. */
export function isUnexpected(answer: RpcError): boolean {
  return answer.reason === "UNEXPECTED" && answer.code === Status.INTERNAL;
}
