import type { RpcError } from "./errors.ts";
import { DONE, type MessageStream, type StreamWatcher, Watchers } from "./message-stream.ts";

/** A stream that fails at its first `next()`, because a layer refused the call before anything was sent. */
export class FailedStream implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #error: RpcError;
  #over = false;

  constructor(error: RpcError) {
    this.#error = error;
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#over) return Promise.resolve(DONE);
    this.#over = true;
    this.#watchers.end({ outcome: "error", error: this.#error });
    return Promise.reject(this.#error);
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.#over = true;
    this.#watchers.end({ outcome: "cancelled" });
    return Promise.resolve(DONE);
  }
}
