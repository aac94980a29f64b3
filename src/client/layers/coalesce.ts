import type { Layer } from "../../core/call.ts";
import type { Coalescing } from "../../policy/coalescing.ts";
import type { KeyOf } from "./share-key.ts";
import { SharedReply, type SharedReplyContext } from "./shared-reply.ts";

/** What calls of a method are coalesced with. */
export interface CoalesceContext extends SharedReplyContext {
  readonly coalescing: Coalescing<SharedReply>;
  readonly keyOf: KeyOf;
}

/**
 * Calls for the same share one call below, as long as it is under way: whoever comes joins it, and gets a copy of the
 * answer, or the same error. Each keeps its own deadline and signal.
 */
export function coalesceLayer(context: CoalesceContext): Layer {
  const { coalescing, keyOf } = context;
  return {
    unary: (next) => (call) => {
      if (call.signal?.aborted) return Promise.reject(call.signal.reason);
      const { cache, retry, maxAttempts, waitForReady } = call.options;
      const key = cache === false ? undefined : keyOf(call);
      if (!key) return next(call);
      // Those who allow other attempts than others share none of theirs.
      const text = `${JSON.stringify([retry, maxAttempts, waitForReady])}${key.text}`;
      const seat = coalescing.join(text, () => new SharedReply(context, next, call, key.request()));
      return seat.work.wait(call, seat);
    },
    stream: (next) => next,
  };
}
