import type { Call, Reply, UnaryHandler } from "../../core/call.ts";
import { handOn } from "./hand-on.ts";

/**
 * Goes on with what a call came to, as the two functions of a promise's `then` do. `onError` is told the call besides,
 * so that one function does for all calls of a method.
 */
export type Continuation = (
  call: Call,
  onReply: (reply: Reply) => Reply,
  onError: (error: unknown, call: Call) => Promise<Reply>,
) => Promise<Reply>;

const continuations = new WeakMap<UnaryHandler, Continuation>();

/**
 * A handler for a layer that only watches how attempts end. Whoever calls it can go on in the same turn of a promise
 * (`continuationOf`): a turn for each layer would be a good part of what a call costs.
 */
export function continuing(continuation: Continuation): UnaryHandler {
  const attempt: UnaryHandler = (call) => continuation(call, keep, rethrow);
  // What `onError` throws before there is a promise.
  const handler: UnaryHandler = (call) => handOn(attempt, call);
  continuations.set(handler, continuation);
  return handler;
}

/** How to call a handler and go on with what it came to; what the handler throws at once goes to `onError` too. */
export function continuationOf(handler: UnaryHandler): Continuation {
  const afterwards: Continuation = (call, onReply, onError) =>
    handOn(handler, call).then(onReply, (error) => onError(error, call));
  return continuations.get(handler) ?? afterwards;
}

function keep(reply: Reply): Reply {
  return reply;
}

function rethrow(error: unknown): never {
  throw error;
}
