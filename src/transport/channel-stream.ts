import type { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import { RpcError } from "../core/errors.ts";
import { DONE, type MessageStream, type StreamWatcher, Watchers } from "../core/message-stream.ts";
import { messageSize } from "./message-size.ts";
import { fromGrpcMetadata } from "./metadata.ts";
import { WireCall } from "./wire-call.ts";

/** How far messages are read ahead of whoever reads them. */
const READ_AHEAD_BYTES = 64 * 1024;

type Next = IteratorResult<unknown, undefined>;

interface Waiter {
  resolve(result: Next): void;
  reject(error: unknown): void;
}

/** A message that waits to be read. */
interface Arrived {
  readonly message: unknown;
  /** What it counts against the bound, in bytes. */
  readonly size: number;
}

/** An attempt with a stream of responses. */
export class ChannelStream extends WireCall implements MessageStream {
  readonly #watchers = new Watchers();
  #started = false;
  #left = false;
  #buffer: Arrived[] = [];
  #bufferedBytes = 0;
  /** Whether grpc-js was asked for a message that has not come yet. */
  #reading = true;
  #waiting: Waiter[] = [];
  #failure: { readonly error: unknown } | undefined;

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<Next> {
    if (!this.#started && !this.#left) {
      this.#started = true;
      this.start();
    }
    const arrived = this.#takeBuffered();
    if (arrived) return Promise.resolve({ done: false, value: arrived.message });
    if (this.#failure) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.ended || this.#left) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<Next> {
    if (!this.#left) {
      this.#left = true;
      this.#buffer = [];
      this.#failure = undefined;
      this.abandon(undefined, true);
      this.#watchers.end({ outcome: "cancelled" });
    }
    return Promise.resolve(DONE);
  }

  protected override onHeaders(header: GrpcMetadata): void {
    this.#watchers.headers(() => fromGrpcMetadata(header));
  }

  onReceiveMessage(bytes: Buffer): void {
    if (this.ended) return;
    this.#reading = false;
    let message: unknown;
    try {
      message = this.method.response.decode(bytes);
    } catch (cause) {
      return this.abandon(this.#undecodable(cause));
    }
    this.#watchers.firstMessage();
    const waiter = this.#waiting.shift();
    if (waiter) waiter.resolve({ done: false, value: message });
    else {
      const size = messageSize(bytes);
      this.#buffer.push({ message, size });
      this.#bufferedBytes += size;
    }
    this.#readAhead();
  }

  protected override succeed(_header: GrpcMetadata | undefined, trailer: GrpcMetadata): void {
    this.#watchers.end({ outcome: "ok", trailer: fromGrpcMetadata(trailer) });
    this.#release((waiter) => waiter.resolve(DONE));
  }

  protected override failWith(error: unknown, cancelled: boolean): void {
    if (cancelled) {
      this.#buffer = [];
      this.#watchers.end({ outcome: "cancelled" });
    } else {
      const known = RpcError.from(error, this.method.path);
      this.#watchers.end({ outcome: "error", error: known, trailer: known.trailer });
    }
    const first = this.#left ? undefined : this.#waiting.shift();
    if (first) first.reject(error);
    else if (!this.#left) this.#failure = { error };
    this.#release((waiter) => waiter.resolve(DONE));
  }

  #release(settle: (waiter: Waiter) => void): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) settle(waiter);
  }

  #readAhead(): void {
    if (this.#reading || this.#bufferedBytes >= READ_AHEAD_BYTES) return;
    this.#reading = true;
    this.read();
  }

  #takeBuffered(): Arrived | undefined {
    const arrived = this.#buffer.shift();
    if (!arrived) return undefined;
    this.#bufferedBytes -= arrived.size;
    if (!this.ended) this.#readAhead();
    return arrived;
  }

  #undecodable(cause: unknown): RpcError {
    const { path } = this.method;
    const details = "a response is no such message";
    return new RpcError({ path, reason: "RESPONSE_NOT_DECODABLE", details, headersReceived: true, cause });
  }
}
