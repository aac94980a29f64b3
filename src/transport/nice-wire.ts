import {
  ClientError,
  type ClientMiddlewareCall,
  Metadata,
  type CallOptions as NiceCallOptions,
} from "nice-grpc-common";
import type { Call, Reply } from "../core/call.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { NO_DEADLINE, toGrpcTimeout } from "../core/deadline.ts";
import { RpcError } from "../core/errors.ts";
import { isMissing, type Method, NO_REQUEST } from "../core/method.ts";
import { type LocalCause, statusError } from "../core/status-error.ts";
import { knownDetails, localCause } from "./local-status.ts";
import { sizeProblem } from "./metadata.ts";
import { NiceRequests } from "./nice-requests.ts";

/** What an attempt over nice-grpc needs of its call: the rest of the middleware chain, and the options of others. */
export interface NiceCarrier {
  readonly next: ClientMiddlewareCall<unknown, unknown>["next"];
  readonly options: NiceCallOptions;
}

type Messages = AsyncGenerator<unknown, unknown, undefined>;

/**
 * One attempt over nice-grpc's `call.next`: what goes in, and what is learned of it on the way. nice-grpc, grpc-js and
 * node:http2 hold on to its callbacks until the next full garbage collection, so at its end it lets go of all it has.
 */
export class NiceWire {
  readonly #method: Method;
  readonly #clock: Clock;
  readonly #maxMetadataBytes: number | undefined;
  #call: Call | undefined;
  #controller: AbortController | undefined;
  #requests: NiceRequests | undefined;
  #timer: Timer | undefined;
  #expired = false;
  #header: Metadata | undefined;
  #trailer: Metadata | undefined;
  #onHeader: ((header: Metadata) => void) | undefined;
  #onGivenUp: (() => void) | undefined;
  #onAbort: (() => void) | undefined;

  /** @param maxMetadataBytes the most metadata of a request, in bytes as HTTP/2 counts them; undefined for 56 KiB. */
  constructor(call: Call, clock: Clock, maxMetadataBytes: number | undefined) {
    this.#method = call.method;
    this.#call = call;
    this.#clock = clock;
    this.#maxMetadataBytes = maxMetadataBytes;
  }

  /**
   * Hands the call on; nothing is sent before the generator's first `next()`.
   *
   * @param onHeader is told of response headers. Left out, nice-grpc does not convert them; whether they came is then
   *   told from what the call ended with.
   * @param onGivenUp is called when the caller leaves or its deadline passes before `end()`.
   */
  begin(onHeader?: (header: Metadata) => void, onGivenUp?: () => void): Messages {
    const call = this.#call;
    if (!call) throw new TypeError(`${this.#method.path}: this attempt is over`);
    const { signal, startedAt, deadline, request, carrier } = call;
    if (signal?.aborted) throw signal.reason;
    this.#onHeader = onHeader;
    this.#onGivenUp = onGivenUp;
    this.#controller = new AbortController();
    if (signal) this.#follow(signal);
    if (deadline !== NO_DEADLINE) {
      this.#timer = this.#clock.setTimer(deadline - startedAt, () => this.#expire(), startedAt);
    }
    const { next, options } = carrier as NiceCarrier;
    if (this.#method.requestStream && isAsyncIterable(request)) this.#requests = new NiceRequests(request);
    return next(this.#requests ?? request, {
      ...options,
      // Also where it is a layer that says so, as resume does: what stands inside of it may retry by itself.
      ...(call.options.retry === false && { retry: false }),
      metadata: this.#sentMetadata(call),
      signal: this.#controller.signal,
      ...(onHeader && { onHeader: (header: Metadata) => this.#headers(header) }),
      onTrailer: (trailer) => {
        if (this.#call) this.#trailer = trailer;
      },
    });
  }

  /** Cancels the attempt on the wire; before `end()`. */
  cancel(): void {
    this.#controller?.abort();
  }

  /** Leaves no timer and no listener behind. Everything that is to be learned must have been asked for. */
  end(): void {
    this.#timer?.cancel();
    this.#requests?.stop();
    if (this.#onAbort) this.#call?.signal?.removeEventListener("abort", this.#onAbort);
    this.#call = undefined;
    this.#controller = undefined;
    this.#requests = undefined;
    this.#timer = undefined;
    this.#header = undefined;
    this.#trailer = undefined;
    this.#onHeader = undefined;
    this.#onGivenUp = undefined;
  }

  get trailer(): Metadata {
    return this.#trailer ?? new Metadata();
  }

  reply(message: unknown): Reply {
    return { message, header: this.#header ?? new Metadata(), trailer: this.trailer };
  }

  /** What the attempt ended with: the caller's reason if the caller left, otherwise an `RpcError`. */
  toError(error: unknown): unknown {
    const call = this.#call;
    if (!call) return error;
    if (call.signal?.aborted) return call.signal.reason;
    const { path } = this.#method;
    if (this.#expired) {
      const headersReceived = this.#header !== undefined;
      return new RpcError({ path, reason: "DEADLINE_EXCEEDED", details: "deadline exceeded", headersReceived });
    }
    if (!(error instanceof ClientError) || error instanceof RpcError) return error;
    const { code } = error;
    const expired = this.#clock.now() >= call.deadline;
    const cause = localCause(error.details);
    const missing = cause === "not-encodable" && isMissing(call.request);
    const details = missing ? `the request cannot be encoded: ${NO_REQUEST}` : knownDetails(error.details);
    const headersReceived = this.#onHeader ? this.#header !== undefined : this.#headersMustHaveCome(cause);
    return statusError({ path, code, details, headersReceived, trailer: this.trailer, cause, expired });
  }

  #headers(header: Metadata): void {
    if (!this.#call) return;
    this.#header = header;
    this.#onHeader?.(header);
  }

  /** A status without headers before it has the content type among its trailers; one after headers has not. */
  #headersMustHaveCome(cause: LocalCause | undefined): boolean {
    return cause === undefined && this.#trailer?.has("content-type") !== true;
  }

  #sentMetadata({ metadata, headers, deadline }: Call): Metadata {
    const sent = new Metadata(metadata);
    if (headers) for (const [key, value] of Object.entries(headers)) sent.set(key, value);
    // Read when the attempt begins: what is left then is what the server may take.
    const timeout = toGrpcTimeout(deadline - this.#clock.now());
    if (timeout !== undefined) sent.set("grpc-timeout", timeout);
    const problem = sizeProblem(sent, this.#maxMetadataBytes);
    if (!problem) return sent;
    const details = `the request cannot be encoded: ${problem}`;
    throw new RpcError({ path: this.#method.path, reason: "REQUEST_NOT_ENCODABLE", details, attempts: 0 });
  }

  #follow(signal: AbortSignal): void {
    this.#onAbort = () => {
      this.#controller?.abort(signal.reason);
      this.#onGivenUp?.();
    };
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  #expire(): void {
    this.#expired = true;
    this.#controller?.abort();
    this.#onGivenUp?.();
  }
}

/** Anything else is nice-grpc's to refuse. */
function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
