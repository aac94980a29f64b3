import type { MetadataInit } from "nice-grpc-common";
import type { Call, Reply, StreamHandler, UnaryHandler } from "../core/call.ts";
import { nextCallId } from "../core/call-id.ts";
import type { CallOptions } from "../core/call-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { NO_DEADLINE } from "../core/deadline.ts";
import { RpcError } from "../core/errors.ts";
import { DONE, type MessageStream, type StreamEnd } from "../core/message-stream.ts";
import { cannotBeSent, forbiddenKey, PREVIOUS_ATTEMPTS, unsendable } from "../core/metadata-keys.ts";
import type { Method } from "../core/method.ts";
import type { ResponseStream } from "../core/response-stream.ts";
import { tell } from "../core/warning.ts";
import { Metadata } from "../transport/index.ts";

const NO_OPTIONS: CallOptions = Object.freeze({});

/** The carrier of a call that came through nice-grpc middlewares, where the attempt needs none. */
export const THROUGH_MIDDLEWARES: unknown = Object.freeze({});

/** What a middleware of ours sends besides, which may come through another one of ours. */
const SENT_BY_MIDDLEWARES: ReadonlySet<string> = new Set(["grpc-timeout", PREVIOUS_ATTEMPTS]);

/** A method with one response, as the application calls it. */
export type UnaryMethod = (request: unknown, options?: CallOptions, carrier?: unknown) => Promise<unknown>;

/** A method with a stream of responses, as the application calls it. */
export type StreamMethod = (request: unknown, options?: CallOptions, carrier?: unknown) => ResponseStream<unknown>;

/**
 * The application's end of the pipeline, for a method with one response.
 *
 * @param check what looks at the options of calls that have some. Default: nothing; whoever calls has looked.
 */
export function unaryMethod(
  method: Method,
  handler: UnaryHandler,
  clock: Clock = systemClock,
  check?: (options: CallOptions) => void,
): UnaryMethod {
  return (request, options = NO_OPTIONS, carrier) => {
    try {
      if (options !== NO_OPTIONS) check?.(options);
      const reply = handler(toCall(method, request, options, carrier, clock));
      return options.onHeader || options.onTrailer ? tellMetadata(reply, options) : reply.then(messageOf);
    } catch (error) {
      return Promise.reject(error);
    }
  };
}

function messageOf({ message }: Reply): unknown {
  return message;
}

/** Tells the application what metadata came, before it has the message. */
async function tellMetadata(answer: Promise<Reply>, options: CallOptions): Promise<unknown> {
  let reply: Reply;
  try {
    reply = await answer;
  } catch (error) {
    const trailer = error instanceof RpcError ? error.trailer : undefined;
    if (trailer && options.onTrailer) tell("onTrailer threw", () => options.onTrailer?.(trailer));
    throw error;
  }
  const { onHeader, onTrailer } = options;
  if (onHeader) tell("onHeader threw", () => onHeader(reply.header));
  if (onTrailer) tell("onTrailer threw", () => onTrailer(reply.trailer));
  return reply.message;
}

/** The application's end of the pipeline, for a method with a stream of responses. `check` as with `unaryMethod`. */
export function streamMethod(
  method: Method,
  handler: StreamHandler,
  clock: Clock = systemClock,
  check?: (options: CallOptions) => void,
): StreamMethod {
  return (request, options = NO_OPTIONS, carrier) => {
    const open = () => {
      if (options !== NO_OPTIONS) check?.(options);
      return handler(toCall(method, request, options, carrier, clock));
    };
    return new CallStream(open, options);
  };
}

function toCall(method: Method, request: unknown, options: CallOptions, carrier: unknown, clock: Clock): Call {
  return {
    id: nextCallId(),
    attempt: 1,
    method,
    request,
    options,
    metadata: options.metadata === undefined ? undefined : toMetadata(options.metadata, method, carrier !== undefined),
    headers: undefined,
    startedAt: clock.now(),
    deadline: NO_DEADLINE,
    signal: options.signal,
    carrier,
  };
}

function toMetadata(init: MetadataInit, { path }: Method, throughMiddlewares: boolean): Metadata {
  let details = "metadata that cannot be read: it takes an object or pairs, of texts and under keys in -bin of bytes";
  try {
    const entries = Symbol.iterator in init ? [...init] : Object.entries(init);
    const problem = entries.map(([key, value]) => problemOf(key, value, throughMiddlewares)).find(Boolean);
    // nice-grpc's Metadata is no class that `instanceof` knows.
    if (!problem)
      return "getAll" in init && typeof init.getAll === "function" ? (init as Metadata) : new Metadata(entries);
    details = problem;
  } catch {
    // What was thrown may quote a value, which may be secret.
  }
  throw new RpcError({ path, reason: "REQUEST_NOT_ENCODABLE", details, attempts: 0 });
}

/** Why the application's metadata cannot be sent, if it cannot. */
function problemOf(key: string, values: unknown, throughMiddlewares: boolean): string | undefined {
  const forbidden = throughMiddlewares && SENT_BY_MIDDLEWARES.has(key) ? undefined : forbiddenKey(key);
  const problem =
    forbidden ??
    [values]
      .flat()
      .map((value) => unsendable(key, value))
      .find(Boolean);
  return problem && cannotBeSent("metadata", key, problem);
}

/** The responses of one call. The call is made when the first one is asked for. */
class CallStream implements ResponseStream<unknown> {
  readonly #options: CallOptions;
  readonly #open: () => MessageStream;
  #stream: MessageStream | undefined;
  #end: StreamEnd | undefined;
  #left = false;

  constructor(open: () => MessageStream, options: CallOptions) {
    this.#open = open;
    this.#options = options;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#left) return Promise.resolve(DONE);
    try {
      this.#stream ??= this.#begin();
    } catch (error) {
      this.#left = true;
      return Promise.reject(error);
    }
    return this.#options.onTrailer ? this.#nextThenTrailer(this.#stream) : this.#stream.next();
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#left = true;
    return this.#stream ? this.#stream.return() : Promise.resolve(DONE);
  }

  get cursor(): unknown {
    return this.#stream?.cursor;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #begin(): MessageStream {
    const stream = this.#open();
    const { onHeader, onTrailer } = this.#options;
    if (onHeader) stream.watch({ onHeaders: (header) => this.#options.onHeader?.(header) });
    if (onTrailer) {
      stream.watch({
        onEnd: (end) => {
          this.#end = end;
        },
      });
    }
    return stream;
  }

  /** The end is known as soon as it is on the wire; the application hears of it after the last message. */
  async #nextThenTrailer(stream: MessageStream): Promise<IteratorResult<unknown, undefined>> {
    let over = true;
    try {
      const result = await stream.next();
      over = result.done === true;
      return result;
    } finally {
      const trailer = over ? this.#end?.trailer : undefined;
      this.#end = over ? undefined : this.#end;
      if (trailer) tell("onTrailer threw", () => this.#options.onTrailer?.(trailer));
    }
  }
}
