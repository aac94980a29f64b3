import type { Call } from "../../core/call.ts";
import { RpcError } from "../../core/errors.ts";
import { Status, type StatusCode } from "../../core/status.ts";

const CODES: ReadonlySet<StatusCode> = new Set([
  Status.UNAVAILABLE,
  Status.DEADLINE_EXCEEDED,
  Status.RESOURCE_EXHAUSTED,
]);

/**
 * What a call failed with, if that says that no answer can be had, and not that the answer is no: something else may
 * stand in for it then. Rejections of the client's own count; a client that is closed, and a caller that has left,
 * do not.
 */
export function outageOf(error: unknown, { signal }: Call): RpcError | undefined {
  if (signal?.aborted || !(error instanceof RpcError)) return undefined;
  return CODES.has(error.code) && error.reason !== "CLIENT_CLOSED" ? error : undefined;
}
