import { RpcError } from "./errors.ts";
import type { StreamEnd } from "./message-stream.ts";

/** The part of a call that says how its stream ended. */
interface Ended {
  readonly signal: AbortSignal | undefined;
  readonly method: { readonly path: string };
}

/** How a call's stream ended that failed with an error: as one that was left, if its caller has. */
export function endOf(error: unknown, { signal, method }: Ended): StreamEnd {
  if (signal?.aborted) return { outcome: "cancelled" };
  const known = RpcError.from(error, method.path);
  return { outcome: "error", error: known, trailer: known.trailer };
}
