import type { Metadata } from "nice-grpc-common";
import type { CallOptions } from "./call-options.ts";
import type { MessageStream } from "./message-stream.ts";
import type { Method } from "./method.ts";

/**
 * One call on its way down the pipeline. It is never changed: a layer that wants something else hands on a copy.
 */
export interface Call {
  /** The same on all attempts of the call. */
  readonly id: number;
  /** Which attempt this is, from 1. */
  readonly attempt: number;
  readonly method: Method;
  /** The request message, or an `AsyncIterable` of them if the method streams requests. */
  readonly request: unknown;
  /** What the application said for this call. Each layer reads its own settings here. */
  readonly options: CallOptions;
  /** The application's metadata, if it gave any. Belongs to the application: never written to. */
  readonly metadata: Metadata | undefined;
  /** What layers send besides: one ASCII value per key. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  /**
   * When the call began, or this attempt of it, on the monotonic clock: layers that hand it on at once need not look at
   * the clock again.
   */
  readonly startedAt: number;
  /** When the call must be over, on the monotonic clock; `NO_DEADLINE` if never. */
  readonly deadline: number;
  /** Aborts when whoever waits for the call no longer does. */
  readonly signal: AbortSignal | undefined;
  /** What the attempt at the pipeline's end needs of this very call; no layer looks at it. */
  readonly carrier: unknown;
  /** Of a stream that is reopened: whether that has failed before, and nothing came since. */
  readonly isFailing?: boolean;
}

/**
 * The same call, to be over by a deadline and when a signal aborts. Field by field, in the order in which calls are
 * made: engines then know one shape of call, and a spread would cost more than a turn of a promise.
 */
export function limited(call: Call, deadline: number, signal: AbortSignal | undefined): Call {
  return {
    id: call.id,
    attempt: call.attempt,
    method: call.method,
    request: call.request,
    options: call.options,
    metadata: call.metadata,
    headers: call.headers,
    startedAt: call.startedAt,
    deadline,
    signal,
    carrier: call.carrier,
  };
}

/** What a unary or client-stream call succeeded with. */
export interface Reply {
  readonly message: unknown;
  /** Response headers; converted when first read. */
  readonly header: Metadata;
  /** Trailers; converted when first read. */
  readonly trailer: Metadata;
}

/** Makes a call with one response, or an attempt of one: resolves with its reply, rejects with an `RpcError` or the signal's reason. */
export type UnaryHandler = (call: Call) => Promise<Reply>;

/** Makes a call with a stream of responses, or an attempt of one. Nothing is sent before the first `next()`. */
export type StreamHandler = (call: Call) => MessageStream;

/**
 * What the pipeline ends at: one try on the wire. Messages, metadata, deadline and signal go in; messages come out,
 * headers and the end are told to whoever watches.
 */
export interface Attempt {
  readonly unary: UnaryHandler;
  readonly stream: StreamHandler;
}

/**
 * Applies one policy around the next handler. The deadline in the call is kept by the attempt: a layer that waits
 * before it, or shares one attempt among calls, must keep it and the signal itself, and say `startedAt` anew. Composed
 * once per method, when the client is created; it returns `next` itself where it has nothing to do for the method.
 */
export interface Layer {
  /** For methods with one response: unary and client-stream. */
  unary(next: UnaryHandler, method: Method): UnaryHandler;
  /** For methods with a stream of responses: server-stream and bidi. */
  stream(next: StreamHandler, method: Method): StreamHandler;
}
