import type { CallContext } from "./call-context.ts";
import type { Method } from "./method.ts";

/** Serves a call with one response: resolves with it, or rejects with whatever went wrong. */
export type ServeUnary = (request: unknown, context: CallContext) => Promise<unknown>;

/** Serves a call with a stream of responses. */
export type ServeStream = (request: unknown, context: CallContext) => AsyncIterable<unknown>;

/**
 * Applies one policy of the server around the next handler; composed once per method, when a service is added. A
 * layer refuses with `fail`.
 */
export interface ServerLayer {
  /** For methods with one response: unary and client-stream. */
  unary(next: ServeUnary, method: Method): ServeUnary;
  /** For methods with a stream of responses: server-stream and bidi. */
  stream(next: ServeStream, method: Method): ServeStream;
}
