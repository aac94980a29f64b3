import { RpcError } from "../core/errors.ts";
import { sentText } from "../core/sent-trailer.ts";
import { type Metadata, ServerError } from "../transport/index.ts";

/**
 * An error as nice-grpc's server sends it, which knows its own errors alone.
 *
 * @param context of the call: nice-grpc sends the trailers that are in it.
 */
export function toServerError(error: RpcError, { trailer }: { readonly trailer: Metadata }): ServerError {
  const { code, details, sendTrailer } = error;
  for (const [key, value] of Object.entries(sendTrailer ?? {})) trailer.set(key, value as never);
  return new ServerError(code, sentText(details, sendTrailer));
}

/** Whether an error is a refusal of this server's own, and not what a call that a handler made failed with. */
export function isOwnRefusal(error: unknown): error is RpcError {
  if (!(error instanceof RpcError) || error.origin !== "local") return false;
  return error.reason === "SHED" || error.reason === "RATE_LIMITED" || error.reason === "REFUSED";
}
