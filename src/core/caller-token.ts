import type { CallContext } from "./call-context.ts";

/** Beside the contexts and not in them, where every log would have it. */
const tokens = new WeakMap<CallContext, string>();

/** Remembers the token that a call came with, once it is verified. */
export function keepCallerToken(context: CallContext, token: string): void {
  tokens.set(context, token);
}

/** The verified token that a call came with; undefined if it came with none. */
export function callerToken(context: CallContext): string | undefined {
  return tokens.get(context);
}
