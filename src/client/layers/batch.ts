import type { BatchAccess } from "../../contract/batch.ts";
import type { Call, Layer, UnaryHandler } from "../../core/call.ts";
import { RpcError } from "../../core/errors.ts";
import { encodeRequest } from "../../core/method.ts";
import type { Batching } from "../../policy/batching.ts";
import { sharesNothing } from "../credentials/call-credentials.ts";
import { GatheredCalls, type GatheredContext } from "./gathered-calls.ts";
import { metadataEntries } from "./share-key.ts";

/** What the calls of a method are gathered with. */
export interface BatchContext extends GatheredContext {
  readonly batching: Batching<GatheredCalls>;
  readonly access: BatchAccess;
  /** Makes a call of the method that takes many; undefined where there is no way to it. */
  readonly many: () => UnaryHandler | undefined;
}

/**
 * Gathers calls into calls of the method that takes many, which have that method's own pipeline. Calls gather only with
 * those that send the same metadata on behalf of the same. Each keeps its own deadline and signal, and what it asks for
 * is encoded when it is called: what cannot be is its own mistake alone, as is what the server finds wrong with it.
 */
export function batchLayer(context: BatchContext): Layer {
  const { batching, many } = context;
  return {
    unary: (next) => (call) => {
      const send = many();
      if (!send || sharesNothing(call)) return next(call);
      if (call.signal?.aborted) return Promise.reject(call.signal.reason);
      let request: unknown;
      try {
        request = copied(call);
      } catch (error) {
        return Promise.reject(error);
      }
      const seat = batching.join(keyOf(call), () => new GatheredCalls(context, send, call));
      return seat.work.wait(call, request, seat);
    },
    stream: (next) => next,
  };
}

/** Who gathers with whom: those who send the same, for the same, and allow the same attempts and answers. */
function keyOf({ options, metadata }: Call): string {
  const { partition, cache, retry, maxAttempts, waitForReady } = options;
  return JSON.stringify([partition, cache, retry, maxAttempts, waitForReady, ...metadataEntries(metadata)]);
}

/** The request as it is now: an application may change its own while the call waits for others. */
function copied({ method, request }: Call): unknown {
  try {
    return method.request.decode(encodeRequest(method, request));
  } catch (cause) {
    const details = `the request cannot be encoded: ${cause instanceof Error ? cause.message : cause}`;
    throw new RpcError({ path: method.path, reason: "REQUEST_NOT_ENCODABLE", details, attempts: 0, cause });
  }
}
