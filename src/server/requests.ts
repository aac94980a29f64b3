import type { CallContext } from "../core/call-context.ts";
import { leave } from "../core/message-stream.ts";
import { holdBackEnd } from "../transport/index.ts";

/**
 * A client's request stream as a handler reads it: when the call is cancelled it throws the signal's reason, instead
 * of ending as if the client had sent everything.
 */
export function requestStream(requests: AsyncIterable<unknown>, context: CallContext): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = holdBackEnd(requests)[Symbol.asyncIterator]();
      const next = async () => {
        const result = await iterator.next().catch((error: unknown) => {
          throw context.signal.aborted ? context.signal.reason : error;
        });
        if (result.done && context.signal.aborted) throw context.signal.reason;
        return result;
      };
      return { next, return: () => leave(iterator) };
    },
  };
}
