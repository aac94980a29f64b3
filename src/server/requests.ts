import type { ServerContext } from "./server-context.ts";

/**
 * A client's request stream as a handler reads it: when the call is cancelled it throws the signal's reason, instead
 * of ending as if the client had sent everything.
 */
export function requestStream(requests: AsyncIterable<unknown>, context: ServerContext): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = requests[Symbol.asyncIterator]();
      const next = async () => {
        const result = await iterator.next().catch((error: unknown) => {
          throw context.cancelled ? context.signal.reason : error;
        });
        if (result.done && context.cancelled) throw context.signal.reason;
        return result;
      };
      return { next, return: async () => (await iterator.return?.()) ?? { done: true, value: undefined } };
    },
  };
}
