import type { Call, Reply, UnaryHandler } from "../../core/call.ts";
import { handOn } from "./hand-on.ts";

/** Goes on with what a call came to, as the two functions of a promise's `then` do. */
export type Settling = (
  call: Call,
  onReply: (reply: Reply) => Reply,
  onError: (error: unknown) => Promise<Reply>,
) => Promise<Reply>;

const settlings = new WeakMap<UnaryHandler, Settling>();

/**
 * A handler for a layer that only watches how attempts end. Whoever calls it can go on in the same turn of a promise
 * (`settlingOf`): a turn for each layer would be a good part of what a call costs.
 */
export function settlingHandler(settling: Settling): UnaryHandler {
  const attempt: UnaryHandler = (call) => settling(call, keep, rethrow);
  // What `onError` throws before there is a promise.
  const handler: UnaryHandler = (call) => handOn(attempt, call);
  settlings.set(handler, settling);
  return handler;
}

/** How to call a handler and go on with what it came to; what the handler throws at once goes to `onError` too. */
export function settlingOf(handler: UnaryHandler): Settling {
  return settlings.get(handler) ?? ((call, onReply, onError) => handOn(handler, call).then(onReply, onError));
}

function keep(reply: Reply): Reply {
  return reply;
}

function rethrow(error: unknown): never {
  throw error;
}
