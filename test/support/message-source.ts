type Result<Message> = IteratorResult<Message, undefined>;

/** A source of messages in the test's hands: what is given waits until it is asked for, and the other way round. */
export class MessageSource<Message> implements AsyncIterableIterator<Message, undefined> {
  /** How often a message was asked for. */
  pulls = 0;
  /** How many messages were handed out. */
  taken = 0;
  /** How often `return()` was called. */
  returns = 0;
  /** What `return()` throws. */
  returnError: unknown;
  /** Whether it was done or failed by itself, as far as its reader knows. */
  ended = false;
  readonly #settlesOnReturn: boolean;
  #given: (() => Promise<Result<Message>>)[] = [];
  #waiting: PromiseWithResolvers<Result<Message>>[] = [];

  /** @param settlesOnReturn whether a pending `next()` is done when it is left, as with Bowline's own streams. */
  constructor({ settlesOnReturn = true }: { readonly settlesOnReturn?: boolean } = {}) {
    this.#settlesOnReturn = settlesOnReturn;
  }

  give(...messages: Message[]): void {
    for (const value of messages) {
      this.#give(() => {
        this.taken += 1;
        return Promise.resolve({ done: false, value });
      });
    }
  }

  end(): void {
    this.#give(() => this.#endWith(Promise.resolve({ done: true, value: undefined })));
  }

  fail(error: unknown): void {
    this.#give(() => this.#endWith(Promise.reject(error)));
  }

  next(): Promise<Result<Message>> {
    this.pulls += 1;
    const given = this.#given.shift();
    if (given) return given();
    const read = Promise.withResolvers<Result<Message>>();
    this.#waiting.push(read);
    return read.promise;
  }

  async return(): Promise<Result<Message>> {
    this.returns += 1;
    const waiting = this.#settlesOnReturn ? this.#waiting.splice(0) : [];
    for (const read of waiting) read.resolve({ done: true, value: undefined });
    if (this.returnError !== undefined) throw this.returnError;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #give(result: () => Promise<Result<Message>>): void {
    const read = this.#waiting.shift();
    if (read) read.resolve(result());
    else this.#given.push(result);
  }

  #endWith(result: Promise<Result<Message>>): Promise<Result<Message>> {
    this.ended = true;
    return result;
  }
}

/** A source that has these messages, and ends. */
export function sourceOf<Message>(...messages: Message[]): MessageSource<Message> {
  const source = new MessageSource<Message>();
  source.give(...messages);
  source.end();
  return source;
}

/** All that a stream gives, and how it ends. */
export async function readAll<Message>(stream: AsyncIterable<Message>): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}
