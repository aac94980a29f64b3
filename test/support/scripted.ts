import { Metadata } from "nice-grpc-common";
import type { Call, Reply, StreamHandler, UnaryHandler } from "../../src/core/call.ts";
import { NO_DEADLINE } from "../../src/core/deadline.ts";
import { RpcError } from "../../src/core/errors.ts";
import { DONE, type MessageStream, type StreamWatcher, Watchers } from "../../src/core/message-stream.ts";
import { type Codec, type Method, type MethodKind, methodKind } from "../../src/core/method.ts";

/** Messages of any kind, as JSON. */
export const jsonCodec: Codec = {
  encode: (message) => Buffer.from(JSON.stringify(message)),
  decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()),
};

/** A method `/test.Service/<kind>` whose messages are JSON. */
export function aMethod(kind: MethodKind = "unary", changes: Partial<Method> = {}): Method {
  const requestStream = kind === "client-stream" || kind === "bidi";
  const responseStream = kind === "server-stream" || kind === "bidi";
  return {
    path: `/test.Service/${kind}`,
    service: "test.Service",
    name: kind,
    kind: methodKind(requestStream, responseStream),
    requestStream,
    responseStream,
    idempotency: "UNKNOWN",
    request: jsonCodec,
    response: jsonCodec,
    ...changes,
  };
}

/** A call as the application makes it: without deadline, signal and metadata. */
export function aCall(changes: Partial<Call> = {}): Call {
  const nothing = { id: 1, attempt: 1, metadata: undefined, headers: undefined, signal: undefined, carrier: undefined };
  return {
    method: aMethod(),
    request: "request",
    options: {},
    startedAt: 0,
    deadline: NO_DEADLINE,
    ...nothing,
    ...changes,
  };
}

/** A reply with a message, and metadata if it is to be read. */
export function aReply(message: unknown, header = new Metadata(), trailer = new Metadata()): Reply {
  return { message, header, trailer };
}

/** Attempts that a test answers. Each call is kept, oldest first. */
export class ScriptedUnary {
  readonly calls: Call[] = [];
  readonly #pending: PromiseWithResolvers<Reply>[] = [];

  readonly handler: UnaryHandler = (call) => {
    const pending = Promise.withResolvers<Reply>();
    this.calls.push(call);
    this.#pending.push(pending);
    return pending.promise;
  };

  reply(reply: Reply): void {
    this.#pending.shift()?.resolve(reply);
  }

  fail(error: unknown): void {
    this.#pending.shift()?.reject(error);
  }
}

/** Streams that a test writes. */
export class ScriptedStreams {
  readonly calls: Call[] = [];
  readonly streams: ScriptedStream[] = [];

  readonly handler: StreamHandler = (call) => {
    const stream = new ScriptedStream();
    this.calls.push(call);
    this.streams.push(stream);
    return stream;
  };
}

/** A stream that does what a test tells it. A message waits until it is asked for. */
export class ScriptedStream implements MessageStream {
  readonly watchers = new Watchers();
  /** How often `next()` and `return()` were called. */
  asked = 0;
  left = 0;
  readonly #messages: unknown[] = [];
  #waiting: PromiseWithResolvers<IteratorResult<unknown, undefined>>[] = [];
  #end: { readonly error?: unknown } | undefined;

  watch(watcher: StreamWatcher): void {
    this.watchers.add(watcher);
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    this.asked += 1;
    const waiter = Promise.withResolvers<IteratorResult<unknown, undefined>>();
    this.#waiting.push(waiter);
    this.#settle();
    return waiter.promise;
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.left += 1;
    this.#messages.length = 0;
    this.watchers.end({ outcome: "cancelled" });
    this.#end = {};
    this.#settle();
    return Promise.resolve(DONE);
  }

  headers(header: Metadata): void {
    this.watchers.headers(() => header);
  }

  message(message: unknown): void {
    this.watchers.firstMessage();
    this.#messages.push(message);
    this.#settle();
  }

  succeed(trailer = new Metadata()): void {
    this.watchers.end({ outcome: "ok", trailer });
    this.#end = {};
    this.#settle();
  }

  fail(error: unknown): void {
    const known = RpcError.from(error);
    this.watchers.end({ outcome: "error", error: known, trailer: known.trailer });
    this.#end = { error };
    this.#settle();
  }

  /** Ends as an attempt does whose signal aborts. */
  abort(reason: unknown): void {
    this.#messages.length = 0;
    this.watchers.end({ outcome: "cancelled" });
    this.#end = { error: reason };
    this.#settle();
  }

  #settle(): void {
    while (this.#waiting.length > 0 && this.#messages.length > 0) {
      this.#waiting.shift()?.resolve({ done: false, value: this.#messages.shift() });
    }
    if (!this.#end) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      if ("error" in this.#end) {
        waiter.reject(this.#end.error);
        this.#end = {};
      } else waiter.resolve(DONE);
    }
  }
}
