import { giveSignal, runInCall } from "../../core/call-context.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import type { RpcError } from "../../core/errors.ts";
import { DONE } from "../../core/message-stream.ts";
import type { ServedContext, ServeStream } from "../../core/served-call.ts";
import { linkSignals } from "../../core/signals.ts";
import { warn } from "../../core/warning.ts";
import { tellStanding } from "../standing.ts";
import { expiringRequests } from "./expiring-requests.ts";

type Next = IteratorResult<unknown, undefined>;

/** When a stream ends, and how. */
export interface Expiry {
  readonly clock: Clock;
  readonly afterMs: number;
  error(): RpcError;
}

/**
 * A handler's stream that ends with an error when its time is over: whoever waits for a message is told at once, and
 * the handler's signal aborts with the error. The call ends when its handler does.
 */
export class ExpiringStream implements AsyncIterableIterator<unknown, undefined> {
  readonly #context: ServedContext;
  readonly #controller = new AbortController();
  readonly #iterator: AsyncIterator<unknown>;
  readonly #unlink: (() => void) | undefined;
  readonly #timer: Timer;
  readonly #waiting = new Set<(error: RpcError) => void>();
  #expired: RpcError | undefined;

  constructor(next: ServeStream, request: unknown, context: ServedContext, { clock, afterMs, error }: Expiry) {
    this.#context = context;
    const { signal, cleanup } = linkSignals(context.signal, this.#controller.signal);
    this.#unlink = cleanup;
    giveSignal(context, signal);
    const received = context.method.requestStream
      ? expiringRequests(request as AsyncIterable<unknown>, this.#controller.signal)
      : request;
    this.#iterator = next(received, context)[Symbol.asyncIterator]();
    this.#timer = clock.setTimer(afterMs, () => this.#expire(error()));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Next> {
    if (this.#expired) return Promise.reject(this.#expired);
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      this.#iterator.next().then(
        (result) => {
          this.#waiting.delete(reject);
          if (result.done) this.#end();
          resolve(result.done ? DONE : result);
        },
        (error: unknown) => {
          this.#waiting.delete(reject);
          this.#end();
          reject(error);
        },
      );
    });
  }

  async return(): Promise<Next> {
    this.#end();
    await this.#iterator.return?.();
    return DONE;
  }

  #end(): void {
    this.#timer.cancel();
    this.#unlink?.();
  }

  #expire(error: RpcError): void {
    this.#expired = error;
    tellStanding(this.#context);
    this.#controller.abort(error);
    this.#unlink?.();
    for (const reject of this.#waiting) reject(error);
    // A generator takes it after the step that it is in, in the context of its call.
    const left = runInCall(this.#context, async () => this.#iterator.return?.());
    this.#context.outlasts(left);
    left.catch((cause: unknown) => warn(`${this.#context.method.path}: the handler threw after its end`, cause));
  }
}
