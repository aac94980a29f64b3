import { type Channel, Metadata as GrpcMetadata, type InterceptingListener, type StatusObject } from "@grpc/grpc-js";
import type { Metadata } from "nice-grpc-common";
import type { Call } from "../core/call.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { NO_DEADLINE, toGrpcTimeout } from "../core/deadline.ts";
import { RpcError } from "../core/errors.ts";
import { encodeMessage } from "../core/method.ts";
import { Status } from "../core/status.ts";
import { statusError } from "../core/status-error.ts";
import { isBroken } from "./broken.ts";
import { asBuffer, fromGrpcMetadata, toGrpcMetadata } from "./metadata.ts";
import { RequestPump } from "./request-pump.ts";

/** grpc-js's own call: one HTTP/2 stream, and the transparent retries below it. */
export type GrpcCall = ReturnType<Channel["createCall"]>;

const EMPTY = new GrpcMetadata();

/** A call on the wire: what those with one response and those with many have in common. */
export abstract class WireCall implements InterceptingListener {
  protected readonly call: Call;
  readonly #clock: Clock;
  readonly #channel: Channel;
  #wire: GrpcCall | undefined;
  #header: GrpcMetadata | undefined;
  #trailer: GrpcMetadata | undefined;
  #distantDeadline: Timer | undefined;
  #pump: RequestPump | undefined;
  #ended = false;

  constructor(channel: Channel, clock: Clock, call: Call) {
    this.#channel = channel;
    this.#clock = clock;
    this.call = call;
  }

  /** Response headers; empty until they came. */
  get header(): Metadata {
    return fromGrpcMetadata(this.#header ?? EMPTY);
  }

  /** Trailers; empty until they came. */
  get trailer(): Metadata {
    return fromGrpcMetadata(this.#trailer ?? EMPTY);
  }

  protected get ended(): boolean {
    return this.#ended;
  }

  /** A message came, still in bytes. */
  abstract onReceiveMessage(bytes: Buffer): void;
  /** The call ended without an error. */
  protected abstract succeed(): void;
  /** The call ended with an error, or with the reason of the signal that aborted. */
  protected abstract failWith(error: unknown, cancelled: boolean): void;

  /** Sends headers and what there is of the request. Ends the call at once if it cannot be begun. */
  protected start(): void {
    const { signal, method, request } = this.call;
    if (signal?.aborted) return this.abandon(signal.reason, true);
    const metadata = this.#orAbandon(() => this.#metadata());
    const only = method.requestStream ? undefined : this.#orAbandon(() => this.#encode(request));
    const many = method.requestStream ? this.#orAbandon(() => iterate(request)) : undefined;
    if (this.#ended || !metadata) return;
    try {
      this.#wire = this.#channel.createCall(method.path, this.#wallDeadline(), null, null, null);
    } catch (cause) {
      const details = "the client is closed";
      return this.abandon(new RpcError({ path: method.path, reason: "CLIENT_CLOSED", details, attempts: 0, cause }));
    }
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#wire.start(metadata, this);
    this.#wire.startRead();
    if (only) this.#sendOnly(this.#wire, only);
    else if (many) this.#sendAll(this.#wire, many);
  }

  protected read(): void {
    this.#wire?.startRead();
  }

  onReceiveMetadata(header: GrpcMetadata): void {
    this.#header = header;
    this.onHeaders();
  }

  /** Headers came. */
  protected onHeaders(): void {}

  onReceiveStatus(status: StatusObject): void {
    if (this.#ended) return;
    this.#trailer = status.metadata;
    this.#finish();
    if (status.code === Status.OK) return this.succeed();
    const { code, details } = status;
    const expired = this.#clock.now() >= this.call.deadline;
    const headersReceived = this.#header !== undefined;
    const path = this.call.method.path;
    const { trailer } = this;
    const broken = isBroken(details);
    this.failWith(statusError({ path, code, details, headersReceived, trailer, broken, expired }), false);
  }

  /** Ends the call from this side: nothing more is sent or taken, and the server is told. */
  protected abandon(error: unknown, cancelled = false): void {
    if (this.#ended) return;
    this.#finish();
    this.#wire?.cancelWithStatus(Status.CANCELLED, "cancelled by the client");
    this.failWith(error, cancelled);
  }

  /** Leaves nothing behind: the signal often outlives the call, and a finished HTTP/2 stream what hangs on it. */
  #finish(): void {
    this.#ended = true;
    this.call.signal?.removeEventListener("abort", this.#onAbort);
    this.#distantDeadline?.cancel();
    this.#pump?.stop();
  }

  readonly #onAbort = () => this.abandon(this.call.signal?.reason, true);

  /**
   * grpc-js keeps deadlines on the wall clock; this is the one place where ours becomes one. A whole number, because
   * grpc-js writes nine digits for a fraction below a hundred million milliseconds, and servers read eight.
   */
  #wallDeadline(): number {
    const remainingMs = this.call.deadline - this.#clock.now();
    if (toGrpcTimeout(remainingMs) !== undefined) return Math.ceil(this.#clock.wallTime() + remainingMs);
    if (this.call.deadline !== NO_DEADLINE) {
      const details = "deadline exceeded";
      const error = () => new RpcError({ path: this.call.method.path, reason: "DEADLINE_EXCEEDED", details });
      this.#distantDeadline = this.#clock.setTimer(remainingMs, () => this.abandon(error()));
    }
    return Number.POSITIVE_INFINITY;
  }

  #metadata(): GrpcMetadata {
    const metadata = toGrpcMetadata(this.call.metadata, this.call.headers);
    if (this.call.options.waitForReady) metadata.setOptions({ waitForReady: true });
    return metadata;
  }

  #encode(message: unknown): Buffer {
    return asBuffer(encodeMessage(this.call.method.request, message));
  }

  /** What `make` makes; the call ends if what the application gave cannot be sent. */
  #orAbandon<T>(make: () => T): T | undefined {
    try {
      return make();
    } catch (cause) {
      const details = `the request cannot be encoded: ${cause instanceof Error ? cause.message : cause}`;
      const { path } = this.call.method;
      this.abandon(new RpcError({ path, reason: "REQUEST_NOT_ENCODABLE", details, attempts: 0, cause }));
      return undefined;
    }
  }

  #sendOnly(wire: GrpcCall, bytes: Buffer): void {
    wire.sendMessageWithContext({}, bytes);
    wire.halfClose();
  }

  #sendAll(wire: GrpcCall, requests: AsyncIterator<unknown>): void {
    this.#pump = new RequestPump(requests, {
      // One after the other: grpc-js holds a single message until the call has a connection.
      write: (request) =>
        new Promise((resolve) => {
          const bytes = this.#orAbandon(() => this.#encode(request));
          if (bytes) wire.sendMessageWithContext({ callback: () => resolve() }, bytes);
        }),
      end: () => wire.halfClose(),
      fail: (error) => this.abandon(error),
    });
    // Its first step may have ended the call, when there was no pump to stop yet.
    if (this.#ended) this.#pump.stop();
  }
}

function iterate(requests: unknown): AsyncIterator<unknown> {
  const begin = (requests as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator];
  if (typeof begin !== "function") throw new TypeError("a method that streams requests takes an AsyncIterable of them");
  return begin.call(requests);
}
