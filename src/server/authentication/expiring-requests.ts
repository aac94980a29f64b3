import { leave } from "../../core/message-stream.ts";

/** A client's messages until a signal aborts: from then on, whoever waits for one or asks for the next gets its reason. */
export function expiringRequests(requests: AsyncIterable<unknown>, signal: AbortSignal): AsyncIterable<unknown> {
  return { [Symbol.asyncIterator]: () => new ExpiringRequests(requests[Symbol.asyncIterator](), signal) };
}

class ExpiringRequests implements AsyncIterator<unknown> {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<(reason: unknown) => void>();

  constructor(iterator: AsyncIterator<unknown>, signal: AbortSignal) {
    this.#iterator = iterator;
    this.#signal = signal;
    const tell = () => {
      for (const reject of this.#waiting) reject(signal.reason);
    };
    signal.addEventListener("abort", tell, { once: true });
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#signal.aborted) return Promise.reject(this.#signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<unknown>>();
    this.#waiting.add(reject);
    const settled = this.#iterator.next().finally(() => this.#waiting.delete(reject));
    settled.then(resolve, reject);
    return promise;
  }

  return(): Promise<IteratorResult<unknown>> {
    return leave(this.#iterator);
  }
}
