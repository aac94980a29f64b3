import type { Metadata } from "nice-grpc-common";
import { RpcError } from "../core/errors.ts";
import { sentText } from "../core/sent-trailer.ts";
import { checkKey, type GrpcStatus, toResponseMetadata } from "./incoming-call.ts";
import { asBuffer } from "./metadata.ts";

/** How a call ends: with an error, or well. */
export interface Ending {
  readonly error?: RpcError;
  /** What the handler wrote into the trailer. */
  readonly trailer: Metadata | undefined;
}

/** Sends how a call ends, or that it failed if that cannot be sent: a call never stays without an answer. */
export function sendOrFail(send: (ending: Ending) => void, ending: Ending, unsendable: (error: unknown) => void): void {
  try {
    send(ending);
  } catch (cause) {
    unsendable(cause);
    const error = new RpcError({ path: "", reason: "UNEXPECTED", details: "internal error", cause });
    send({ error, trailer: undefined });
  }
}

/** @throws TypeError that names a trailer which cannot be sent. */
export function toStatus(error: RpcError, trailer: Metadata | undefined): GrpcStatus {
  const metadata = toResponseMetadata(trailer, "trailer");
  for (const [key, value] of Object.entries(error.sendTrailer ?? {})) {
    checkKey(key, "trailer");
    metadata.set(key, typeof value === "string" ? value : asBuffer(value));
  }
  return { code: error.code, details: sentText(error.details, error.sendTrailer), metadata };
}
