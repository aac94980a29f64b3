/**
 * A handler's stream that is opened when something has come to pass. Whoever reads it asks for one message at a time,
 * as servers do.
 */
export class LaterStream implements AsyncIterableIterator<unknown> {
  readonly #opened: Promise<AsyncIterable<unknown>>;
  #iterator: AsyncIterator<unknown> | undefined;
  #left = false;

  constructor(opened: Promise<AsyncIterable<unknown>>) {
    this.#opened = opened;
    // Whoever leaves before it is open does not hear why it never was.
    opened.catch(() => {});
  }

  next(): Promise<IteratorResult<unknown>> {
    return this.#iterator ? this.#iterator.next() : this.#first();
  }

  async return(): Promise<IteratorResult<unknown>> {
    this.#left = true;
    return (await this.#iterator?.return?.()) ?? { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #first(): Promise<IteratorResult<unknown>> {
    const stream = await this.#opened;
    if (this.#left) return { done: true, value: undefined };
    this.#iterator ??= stream[Symbol.asyncIterator]();
    return this.#iterator.next();
  }
}
