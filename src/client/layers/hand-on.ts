import type { Call, Reply, UnaryHandler } from "../../core/call.ts";

/** Hands a call on. What the next handler throws at once is what this rejects with. */
export function handOn(next: UnaryHandler, call: Call): Promise<Reply> {
  try {
    return next(call);
  } catch (error) {
    return Promise.reject(error);
  }
}
