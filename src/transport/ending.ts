import type { Metadata } from "nice-grpc-common";
import { RpcError } from "../core/errors.ts";
import { sentText } from "../core/sent-trailer.ts";
import { type GrpcStatus, toResponseMetadata } from "./incoming-call.ts";

/** How a call ends: with an error, or well. */
export interface Ending {
  readonly error?: RpcError;
  /** What the handler wrote into the trailer. */
  readonly trailer: Metadata | undefined;
  /** Whether the error is the server's own, and goes without the trailer where that cannot be sent. Default: false. */
  readonly ownError?: boolean;
}

/**
 * Sends how a call ends, or that it failed if that cannot be sent: a call never stays without an answer. That a server
 * drains is told in any case, so that its streams are resumed elsewhere.
 *
 * @returns the error that the client was told.
 */
export function sendOrFail(
  send: (ending: Ending) => void,
  ending: Ending,
  unsendable: (error: unknown) => void,
): RpcError | undefined {
  try {
    send(ending);
    return ending.error;
  } catch (cause) {
    unsendable(cause);
    const own = ending.ownError ? ending.error : undefined;
    const error = own ?? new RpcError({ path: "", reason: "UNEXPECTED", details: "internal error", cause });
    send({ error, trailer: undefined });
    return error;
  }
}

/** @throws TypeError that names a trailer which cannot be sent, or says that they are too much. */
export function toStatus({ code, details, sendTrailer }: RpcError, trailer: Metadata | undefined): GrpcStatus {
  const metadata = toResponseMetadata(trailer, "trailer", sendTrailer);
  return { code, details: sentText(details, sendTrailer), metadata };
}
