import { runInCall } from "../../core/call-context.ts";
import type { RpcError } from "../../core/errors.ts";
import { DONE } from "../../core/message-stream.ts";
import type { ServedContext, ServeStream } from "../../core/served-call.ts";
import { beginExpiry, type Expiring, type Expiry } from "./expiry.ts";

type Next = IteratorResult<unknown, undefined>;

/** A handler's stream that ends with an error when its time is over: whoever waits for a message is told at once. */
export class ExpiringStream implements AsyncIterableIterator<unknown, undefined> {
  readonly #context: ServedContext;
  readonly #expiring: Expiring;
  readonly #iterator: AsyncIterator<unknown>;
  readonly #waiting = new Set<(error: RpcError) => void>();
  #expired: RpcError | undefined;

  constructor(next: ServeStream, request: unknown, context: ServedContext, expiry: Expiry) {
    this.#context = context;
    this.#expiring = beginExpiry(context, request, expiry, (error) => this.#expire(error));
    try {
      this.#iterator = next(this.#expiring.request, context)[Symbol.asyncIterator]();
    } catch (error) {
      this.#expiring.end();
      throw error;
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Next> {
    if (this.#expired) return Promise.reject(this.#expired);
    return new Promise((resolve, reject) => {
      const failed = (error: unknown) => {
        this.#waiting.delete(reject);
        this.#expiring.end();
        reject(error);
      };
      this.#waiting.add(reject);
      try {
        this.#iterator.next().then((result) => {
          this.#waiting.delete(reject);
          if (result.done) this.#expiring.end();
          resolve(result.done ? DONE : result);
        }, failed);
      } catch (error) {
        failed(error);
      }
    });
  }

  async return(): Promise<Next> {
    this.#expiring.end();
    await this.#iterator.return?.();
    return DONE;
  }

  #expire(error: RpcError): Promise<unknown> {
    this.#expired = error;
    for (const reject of this.#waiting) reject(error);
    // A generator takes it after the step that it is in, in the context of its call.
    return runInCall(this.#context, async () => this.#iterator.return?.());
  }
}
