import type { CallContext } from "./call-context.ts";

/** The verified token that a call came with. */
export interface CallerToken {
  readonly token: string;
  /**
   * What answers that were given to the token are kept apart by. The caller's identity does not do for that: where
   * several credentials are needed it may be another one's, a gateway's for all of its users.
   */
  readonly partition: string;
}

/** Beside the contexts and not in them, where every log would have it. */
const tokens = new WeakMap<CallContext, CallerToken>();

/** Remembers the token that a call came with, once it is verified. */
export function keepCallerToken(context: CallContext, token: CallerToken): void {
  tokens.set(context, token);
}

/** The verified token that a call came with; undefined if it came with none. */
export function callerToken(context: CallContext): CallerToken | undefined {
  return tokens.get(context);
}
