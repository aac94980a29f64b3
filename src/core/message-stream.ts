import type { Metadata } from "nice-grpc-common";
import type { Cursor } from "./cursor.ts";
import type { RpcError } from "./errors.ts";
import { tell } from "./warning.ts";

/** How a stream of responses ended. */
export interface StreamEnd {
  /** `cancelled`: whoever read it left, or its signal aborted. */
  readonly outcome: "ok" | "error" | "cancelled";
  /** With outcome `error`. */
  readonly error?: RpcError;
  /** The trailers, if any came. */
  readonly trailer?: Metadata | undefined;
}

/** Watches a stream go by. Nothing it does reaches the messages: what it throws becomes a process warning. */
export interface StreamWatcher {
  /** Response headers came. At most once; never if the server answered with trailers alone. */
  onHeaders?(header: Metadata): void;
  /** The first message came. At most once. */
  onFirstMessage?(): void;
  /** The stream ended, whichever way. Exactly once, also when it is left before anything came. */
  onEnd?(end: StreamEnd): void;
}

/**
 * Responses on their way up the pipeline. A plain `AsyncIterable` cannot tell layers that only watch about headers
 * and end; a chain of async generators costs each message a turn per layer.
 */
export interface MessageStream {
  /** The next message. Nothing is sent before the first call. Rejects with what ended the stream. */
  next(): Promise<IteratorResult<unknown, undefined>>;
  /** Leaves the stream: the attempt is cancelled on the wire, and a pending `next()` resolves as done. */
  return(): Promise<IteratorResult<unknown, undefined>>;
  /** The position up to which messages were handed out, on streams that resume. */
  readonly cursor?: Cursor;
  /** Adds a watcher; must come before the first `next()`. */
  watch(watcher: StreamWatcher): void;
}

/** The result of every `next()` after the end. */
export const DONE: IteratorResult<never, undefined> = Object.freeze({ done: true, value: undefined });

/** Leaves what is read, as a `for await` does: not every iterator wants to hear of it. */
export async function leave(iterator: AsyncIterator<unknown> | undefined): Promise<IteratorResult<unknown>> {
  return (await iterator?.return?.()) ?? DONE;
}

/** Keeps a stream's watchers and tells each thing to each of them once. */
export class Watchers {
  #watchers: StreamWatcher[] = [];
  #headersTold = false;
  #messageTold = false;
  #ended = false;

  add(watcher: StreamWatcher): void {
    this.#watchers.push(watcher);
  }

  /** Takes the header as a function, so that it is converted only if somebody listens. */
  headers(header: () => Metadata): void {
    if (this.#headersTold) return;
    this.#headersTold = true;
    this.#tell((watcher) => watcher.onHeaders?.(header()));
  }

  firstMessage(): void {
    if (this.#messageTold) return;
    this.#messageTold = true;
    this.#tell((watcher) => watcher.onFirstMessage?.());
  }

  end(end: StreamEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tell((watcher) => watcher.onEnd?.(end));
    this.#watchers = [];
  }

  /** All of them, whatever one of them throws: another may hold a permit that it gives back now. */
  #tell(what: (watcher: StreamWatcher) => void): void {
    for (const watcher of this.#watchers) tell("a stream's watcher threw", () => what(watcher));
  }
}
