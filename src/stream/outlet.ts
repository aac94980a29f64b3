import { DONE } from "../core/message-stream.ts";
import type { OperatorStream, Result } from "./operator-stream.ts";
import { warnOfReturn } from "./upstream.ts";

/** What `take` returns while no message is there. */
export const NOTHING: unique symbol = Symbol("nothing");

/** How a stream ends, unless well. */
export interface Failure {
  readonly error: unknown;
}

/** A call of `next()` that waits. */
interface Read<Message> {
  resolve(result: Result<Message>): void;
  reject(error: unknown): void;
}

/**
 * The reader's end of an operator that may hold messages, or must not wait for its source: it hands out what the
 * operator has, tells an error after everything that came before it, and ends once.
 */
export abstract class Outlet<Message> implements OperatorStream<Message> {
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = () => this.end({ error: this.#signal?.reason });
  /** Who waits longest. Mostly nobody else does, and a queue of one would cost each message a good part of its time. */
  #first: Read<Message> | undefined;
  #others: Read<Message>[] = [];
  #state: "unread" | "open" | "over" = "unread";
  /** How it ends once everything that is held has been read. */
  #finish: { readonly failure: Failure | undefined } | undefined;
  /** What the next `next()` rejects with, once it is over. */
  #untold: Failure | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** It is about to be read for the first time. */
  protected opens(): void {}

  /** Hands over the next message, if one is there. */
  protected abstract take(): Message | typeof NOTHING;

  /** Reads on, if that is due: somebody waits (`isWanted`), or there is room. */
  protected abstract pull(): void;

  /**
   * Leaves what has not ended. Called once, however the stream ends.
   *
   * @throws what a source's `return()` throws.
   */
  protected abstract leave(): Promise<void>;

  /** Whether somebody waits. */
  protected get isWanted(): boolean {
    return this.#first !== undefined;
  }

  /** Whether nothing more will come, but what is held. */
  protected get isFinished(): boolean {
    return this.#finish !== undefined;
  }

  /** Whether nothing is still to become a message. */
  protected get isIdle(): boolean {
    return true;
  }

  next(): Promise<Result<Message>> {
    if (this.#state === "unread") this.#open();
    // Whoever waits already comes first.
    const message = this.#state === "open" && !this.isWanted ? this.take() : NOTHING;
    // What was taken may have been the end, and whoever was asked for it may have left.
    if (this.#state === "over") return this.#afterwards();
    if (message === NOTHING) {
      const read = new Promise(this.#addRead);
      this.#goOn();
      return read;
    }
    const read = Promise.resolve<Result<Message>>({ done: false, value: message });
    this.serve();
    return read;
  }

  async return(): Promise<Result<Message>> {
    const wasOver = this.#state === "over";
    this.#close(undefined);
    this.#untold = undefined;
    if (!wasOver) await this.leave();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Answers the reads that can be answered now, and reads on. */
  protected serve(): void {
    while (this.#state === "open" && this.isWanted) {
      const message = this.take();
      if (message === NOTHING) break;
      this.#shift()?.resolve({ done: false, value: message });
    }
    this.#goOn();
  }

  /** Ends it once everything that is held has been read. The first call counts. */
  protected finish(failure?: Failure): void {
    this.#finish ??= { failure };
    this.serve();
  }

  /** Ends it now. */
  protected end(failure: Failure | undefined): void {
    if (this.#state === "over") return;
    this.#close(failure);
    this.leave().catch(warnOfReturn);
  }

  /** Reads on, or ends it, now that nothing is there for whoever waits. */
  #goOn(): void {
    if (this.#state !== "open") return;
    if (this.#finish === undefined) this.pull();
    else if (this.isWanted && this.isIdle) this.end(this.#finish.failure);
  }

  readonly #addRead = (resolve: Read<Message>["resolve"], reject: Read<Message>["reject"]): void => {
    const read = { resolve, reject };
    if (this.#first) this.#others.push(read);
    else this.#first = read;
  };

  #shift(): Read<Message> | undefined {
    const first = this.#first;
    this.#first = this.#others.length > 0 ? this.#others.shift() : undefined;
    return first;
  }

  #open(): void {
    this.#state = "open";
    this.opens();
    if (this.#signal?.aborted) this.#onAbort();
    else this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  #close(failure: Failure | undefined): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#untold = failure;
    for (let read = this.#shift(); read; read = this.#shift()) this.#settle(read);
  }

  #settle({ resolve, reject }: Read<Message>): void {
    const failure = this.#untold;
    this.#untold = undefined;
    if (failure) reject(failure.error);
    else resolve(DONE);
  }

  /** What a `next()` gets after the end: the failure once, then done. */
  #afterwards(): Promise<Result<Message>> {
    return new Promise((resolve, reject) => this.#settle({ resolve, reject }));
  }
}
