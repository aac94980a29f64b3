import { DONE, leave } from "../core/message-stream.ts";

/**
 * A handler's stream that is opened at the first `next()`, when something has come to pass. Left before that, it never
 * is; left while it is being opened, it is left once it is open.
 */
export class LaterStream implements AsyncIterableIterator<unknown> {
  readonly #open: () => Promise<AsyncIterable<unknown>>;
  #opening: Promise<AsyncIterator<unknown>> | undefined;
  #iterator: AsyncIterator<unknown> | undefined;
  #left = false;

  constructor(open: () => Promise<AsyncIterable<unknown>>) {
    this.#open = open;
  }

  /** One that is opened whether or not it is read; whoever leaves before that does not hear why it never was. */
  static of(opened: Promise<AsyncIterable<unknown>>): LaterStream {
    opened.catch(() => {});
    return new LaterStream(() => opened);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#iterator) return this.#iterator.next();
    if (this.#left) return Promise.resolve(DONE);
    this.#opening ??= this.#begin();
    return this.#opening.then((iterator) => iterator.next());
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#left = true;
    return leave(await this.#opening?.catch(() => undefined));
  }

  async #begin(): Promise<AsyncIterator<unknown>> {
    const stream = await this.#open();
    this.#iterator = stream[Symbol.asyncIterator]();
    return this.#iterator;
  }
}
