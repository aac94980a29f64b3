import type { ServerLayer, ServeUnary } from "../../core/served-call.ts";
import type { Keyed } from "../idempotency/keyed.ts";
import { KeyedMethod } from "../idempotency/keyed-method.ts";
import { servedKey, shownIdempotency } from "../idempotency/served-key.ts";
import { Waiters } from "../idempotency/waiters.ts";

/**
 * Runs a handler once for each key of a caller, and gives repetitions the answer that it came to.
 *
 * @param marked how long answers are kept, in milliseconds, by the path of each method that is marked.
 */
export function idempotencyLayer(keyed: Keyed, marked: ReadonlyMap<string, number>): ServerLayer {
  const waiters = new Waiters(keyed.clock);
  return {
    unary: (next, method) => {
      const ttlMs = marked.get(method.path);
      return ttlMs === undefined ? next : serveOnce(new KeyedMethod(keyed, waiters, method, ttlMs, next), next);
    },
    stream: (next) => next,
  };
}

function serveOnce(method: KeyedMethod, next: ServeUnary): ServeUnary {
  return async (request, call) => {
    // It runs once already, under a middleware further out; on the same store it would wait for itself.
    if (shownIdempotency(call)?.key !== undefined) return next(request, call);
    const key = servedKey(call);
    if (key === undefined) return method.unprotected(request, call);
    const wish = method.wish(key, request, call);
    const outcome = await method.obtain(wish, call);
    if (outcome.state === "answered") return method.replay(outcome.answer, call);
    return method.run(wish, outcome, request, call);
  };
}
