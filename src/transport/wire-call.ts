import type { Channel, Metadata as GrpcMetadata, InterceptingListener, StatusObject } from "@grpc/grpc-js";
import type { Call } from "../core/call.ts";
import { clientClosed } from "../core/client-closed.ts";
import type { Timer } from "../core/clock.ts";
import { NO_DEADLINE, toGrpcTimeout } from "../core/deadline.ts";
import { RpcError } from "../core/errors.ts";
import { encodeRequest, type Method } from "../core/method.ts";
import { Status } from "../core/status.ts";
import { statusError } from "../core/status-error.ts";
import { knownDetails, localCause } from "./local-status.ts";
import { asBuffer, fromGrpcMetadata, sizeProblem, toGrpcMetadata } from "./metadata.ts";
import { RequestPump } from "./request-pump.ts";
import type { WireCalls } from "./wire-calls.ts";

/** grpc-js's own call: one HTTP/2 stream, and the transparent retries below it. */
export type GrpcCall = ReturnType<Channel["createCall"]>;

/** A call on the wire: what those with one response and those with many have in common. */
export abstract class WireCall implements InterceptingListener {
  protected readonly method: Method;
  readonly #calls: WireCalls;
  #call: Call | undefined;
  #wire: GrpcCall | undefined;
  #header: GrpcMetadata | undefined;
  #distantDeadline: Timer | undefined;
  #pump: RequestPump | undefined;
  #ended = false;

  constructor(calls: WireCalls, call: Call) {
    this.#calls = calls;
    this.method = call.method;
    this.#call = call;
  }

  protected get ended(): boolean {
    return this.#ended;
  }

  /** A message came, still in bytes. */
  abstract onReceiveMessage(bytes: Buffer): void;
  /** The call ended without an error. */
  protected abstract succeed(header: GrpcMetadata | undefined, trailer: GrpcMetadata): void;
  /** The call ended with an error, or with the reason of the signal that aborted. */
  protected abstract failWith(error: unknown, cancelled: boolean): void;

  /** Sends headers and what there is of the request. Ends the call at once if it cannot be begun. */
  protected start(): void {
    const call = this.#call;
    if (!call) return;
    const { signal, request } = call;
    if (signal?.aborted) return this.abandon(signal.reason, true);
    const metadata = this.#orAbandon(() => sentMetadata(call, this.#calls.maxMetadataBytes));
    const only = this.method.requestStream ? undefined : this.#orAbandon(() => this.#encode(request));
    const many = this.method.requestStream ? this.#orAbandon(() => iterate(request)) : undefined;
    if (this.#ended || !metadata) return;
    const wire = this.#createCall(call);
    if (!wire) return;
    this.#wire = wire;
    this.#calls.add(this);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    wire.start(metadata, this);
    wire.startRead();
    if (only) this.#sendOnly(wire, only);
    else if (many) this.#sendAll(wire, many);
  }

  protected read(): void {
    this.#wire?.startRead();
  }

  onReceiveMetadata(header: GrpcMetadata): void {
    if (this.#ended) return;
    this.#header = header;
    this.onHeaders(header);
  }

  /** Headers came. */
  protected onHeaders(_header: GrpcMetadata): void {}

  onReceiveStatus(status: StatusObject): void {
    const call = this.#call;
    if (!call) return;
    const header = this.#header;
    this.#finish();
    if (status.code === Status.OK) return this.succeed(header, status.metadata);
    const { code } = status;
    const details = knownDetails(status.details);
    const expired = this.#calls.clock.now() >= call.deadline;
    const headersReceived = header !== undefined;
    const trailer = fromGrpcMetadata(status.metadata);
    const cause = localCause(details);
    const { path } = this.method;
    this.failWith(statusError({ path, code, details, headersReceived, trailer, cause, expired }), false);
  }

  /** Ends the call from this side: nothing more is sent or taken, and the server is told. */
  protected abandon(error: unknown, cancelled = false): void {
    if (this.#ended) return;
    const wire = this.#wire;
    this.#finish();
    wire?.cancelWithStatus(Status.CANCELLED, "cancelled by the client");
    this.failWith(error, cancelled);
  }

  /**
   * Leaves nothing behind: the signal often outlives the call, and grpc-js and node:http2 hold on to this object until
   * the next full garbage collection, with all that it refers to.
   */
  #finish(): void {
    this.#ended = true;
    this.#calls.remove(this);
    this.#call?.signal?.removeEventListener("abort", this.#onAbort);
    this.#distantDeadline?.cancel();
    this.#pump?.stop();
    this.#call = undefined;
    this.#wire = undefined;
    this.#pump = undefined;
    this.#header = undefined;
  }

  /** The client was closed under the call. */
  closed(): void {
    this.abandon(clientClosed(this.method.path, { attempts: 1 }));
  }

  readonly #onAbort = () => this.abandon(this.#call?.signal?.reason, true);

  #createCall(call: Call): GrpcCall | undefined {
    try {
      return this.#calls.channel.createCall(this.method.path, this.#wallDeadline(call), null, null, null);
    } catch (cause) {
      this.abandon(clientClosed(this.method.path, { cause }));
      return undefined;
    }
  }

  /**
   * grpc-js keeps deadlines on the wall clock; this is the one place where ours becomes one. A whole number, because
   * grpc-js writes nine digits for a fraction below a hundred million milliseconds, and servers read eight.
   */
  #wallDeadline({ deadline }: Call): number {
    const remainingMs = deadline - this.#calls.clock.now();
    if (toGrpcTimeout(remainingMs) !== undefined) return Math.ceil(this.#calls.clock.wallTime() + remainingMs);
    if (deadline !== NO_DEADLINE) {
      const details = "deadline exceeded";
      const error = () => new RpcError({ path: this.method.path, reason: "DEADLINE_EXCEEDED", details });
      this.#distantDeadline = this.#calls.clock.setTimer(remainingMs, () => this.abandon(error()));
    }
    return Number.POSITIVE_INFINITY;
  }

  #encode(message: unknown): Buffer {
    return asBuffer(encodeRequest(this.method, message));
  }

  /** What `make` makes; the call ends if what the application gave cannot be sent. */
  #orAbandon<T>(make: () => T): T | undefined {
    try {
      return make();
    } catch (cause) {
      const details = `the request cannot be encoded: ${cause instanceof Error ? cause.message : cause}`;
      const { path } = this.method;
      this.abandon(new RpcError({ path, reason: "REQUEST_NOT_ENCODABLE", details, attempts: 0, cause }));
      return undefined;
    }
  }

  #sendOnly(wire: GrpcCall, bytes: Buffer): void {
    wire.sendMessageWithContext({}, bytes);
    wire.halfClose();
  }

  #sendAll(wire: GrpcCall, requests: AsyncIterator<unknown>): void {
    const pump = new RequestPump(requests, {
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
    if (this.#ended) pump.stop();
    else this.#pump = pump;
  }
}

function sentMetadata({ metadata, headers, options }: Call, most: number | undefined): GrpcMetadata {
  const sent = toGrpcMetadata(metadata, headers);
  const problem = sizeProblem(metadata, most, headers);
  if (problem) throw new TypeError(problem);
  if (options.waitForReady) sent.setOptions({ waitForReady: true });
  return sent;
}

function iterate(requests: unknown): AsyncIterator<unknown> {
  const begin = (requests as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator];
  if (typeof begin !== "function") throw new TypeError("a method that streams requests takes an AsyncIterable of them");
  return begin.call(requests);
}
