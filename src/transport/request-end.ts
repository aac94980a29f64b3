import { leave } from "../core/message-stream.ts";

/**
 * The same messages, their end held back for a turn of the event loop.
 *
 * A client that resets its stream looks to grpc-js, for a moment, like one that has sent everything; in that turn the
 * cancellation arrives, if there is one.
 */
export function holdBackEnd(messages: AsyncIterable<unknown>): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      const next = async () => {
        const result = await iterator.next();
        if (result.done) await new Promise((resolve) => setImmediate(resolve));
        return result;
      };
      return { next, return: () => leave(iterator) };
    },
  };
}
