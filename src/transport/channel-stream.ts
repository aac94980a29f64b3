import type { Metadata as GrpcMetadata } from "@grpc/grpc-js";
import { RpcError } from "../core/errors.ts";
import { DONE, type MessageStream, type StreamWatcher, Watchers } from "../core/message-stream.ts";
import { fromGrpcMetadata } from "./metadata.ts";
import { WireCall } from "./wire-call.ts";

/** How far messages are read ahead of whoever reads them. */
const READ_AHEAD_BYTES = 64 * 1024;
/** What a message counts besides its bytes, so that empty ones are bounded too. */
const MESSAGE_OVERHEAD_BYTES = 256;

type Next = IteratorResult<unknown, undefined>;

interface Waiter {
  resolve(result: Next): void;
  reject(error: unknown): void;
}

/** An attempt with a stream of responses. */
export class ChannelStream extends WireCall implements MessageStream {
  readonly #watchers = new Watchers();
  #started = false;
  #left = false;
  #buffer: Buffer[] = [];
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
    const bytes = this.#takeBuffered();
    if (bytes) return this.#deliver(bytes);
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
    this.#watchers.firstMessage();
    const waiter = this.#waiting.shift();
    if (waiter) this.#deliver(bytes).then(waiter.resolve, waiter.reject);
    else {
      this.#buffer.push(bytes);
      this.#bufferedBytes += bytes.byteLength + MESSAGE_OVERHEAD_BYTES;
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

  #takeBuffered(): Buffer | undefined {
    const bytes = this.#buffer.shift();
    if (!bytes) return undefined;
    this.#bufferedBytes -= bytes.byteLength + MESSAGE_OVERHEAD_BYTES;
    if (!this.ended) this.#readAhead();
    return bytes;
  }

  #deliver(bytes: Buffer): Promise<Next> {
    try {
      return Promise.resolve({ done: false, value: this.method.response.decode(bytes) });
    } catch (cause) {
      const { path } = this.method;
      const details = "a response is no such message";
      const error = new RpcError({ path, reason: "RESPONSE_NOT_DECODABLE", details, headersReceived: true, cause });
      // Whoever else waits is done: the error is for the reader of this message.
      this.#release((waiter) => waiter.resolve(DONE));
      this.abandon(error);
      this.#failure = undefined;
      this.#buffer = [];
      return Promise.reject(error);
    }
  }
}
