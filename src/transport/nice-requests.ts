type Next = IteratorResult<unknown, unknown>;

/**
 * The requests of one attempt over nice-grpc, which lets go of them when the next one comes. At the end of the call
 * there may be none: then they are let go of here.
 */
export class NiceRequests implements AsyncIterableIterator<unknown> {
  readonly #requests: AsyncIterable<unknown>;
  /** From the first `next()` to their end. */
  #iterator: AsyncIterator<unknown> | undefined;
  #stopped = false;

  constructor(requests: AsyncIterable<unknown>) {
    this.#requests = requests;
  }

  [Symbol.asyncIterator](): this {
    this.#iterator = this.#requests[Symbol.asyncIterator]();
    return this;
  }

  async next(): Promise<Next> {
    const ended: Next = { done: true, value: undefined };
    try {
      const result = (await this.#iterator?.next()) ?? ended;
      if (result.done) this.#iterator = undefined;
      // Their end would be sent, and a cancelled call look complete to its handler.
      return this.#stopped ? await new Promise<never>(() => {}) : result;
    } catch (error) {
      this.#iterator = undefined;
      throw error;
    }
  }

  async return(): Promise<Next> {
    await this.#leave();
    return { done: true, value: undefined };
  }

  /** The call is over: no further request is taken. A failure while they clean up has nobody left to tell. */
  stop(): void {
    this.#stopped = true;
    this.#leave().catch(() => {});
  }

  async #leave(): Promise<void> {
    const iterator = this.#iterator;
    this.#iterator = undefined;
    await iterator?.return?.();
  }
}
