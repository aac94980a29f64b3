import { RpcError } from "../core/errors.ts";

/** More came than was to be held. */
export function bufferFull(details: string): RpcError {
  return new RpcError({ path: "", reason: "BUFFER_FULL", details });
}
