import type { StreamHandler } from "../../core/call.ts";
import type { Timer } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { DONE, type MessageStream, type StreamEnd, type StreamWatcher, Watchers } from "../../core/message-stream.ts";
import type { Attempts } from "./attempts.ts";

type Next = IteratorResult<unknown, undefined>;

/** A server-stream that is opened again until its headers come; from then on it is the attempt's own (rule R3). */
export class RetryStream implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #attempts: Attempts;
  readonly #open: StreamHandler;
  #stream: MessageStream | undefined;
  #committed = false;
  #succeeded = false;
  #over = false;
  /** Steps before the stream is committed are taken one after the other. */
  #lastStep: Promise<unknown> = Promise.resolve();
  #steps = 0;
  #endWait: (() => void) | undefined;

  constructor(attempts: Attempts, open: StreamHandler) {
    this.#attempts = attempts;
    this.#open = open;
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<Next> {
    if (this.#committed && this.#steps === 0 && this.#stream) return this.#stream.next();
    this.#steps += 1;
    const step = this.#lastStep
      .then(() => this.#step())
      .finally(() => {
        this.#steps -= 1;
      });
    this.#lastStep = step.catch(() => {});
    return step;
  }

  return(): Promise<Next> {
    if (!this.#over) {
      this.#attempts.abandoned();
      this.#end({ outcome: "cancelled" });
    }
    return this.#stream?.return() ?? Promise.resolve(DONE);
  }

  async #step(): Promise<Next> {
    while (!this.#over || this.#committed) {
      this.#stream ??= this.#begin();
      try {
        return await this.#stream.next();
      } catch (error) {
        if (this.#over) throw error;
        await this.#afterFailure(error);
      }
    }
    return DONE;
  }

  #begin(): MessageStream {
    const stream = this.#open(this.#attempts.current);
    stream.watch({
      onHeaders: (header) => {
        this.#commit();
        this.#watchers.headers(() => header);
      },
      onFirstMessage: () => {
        this.#commit();
        this.#succeed();
        this.#watchers.firstMessage();
      },
      onEnd: (end) => this.#attemptEnded(end),
    });
    return stream;
  }

  /** From here on there is no further attempt, and a stream that stays open must not hold on to the budget. */
  #commit(): void {
    this.#committed = true;
    this.#attempts.abandoned();
  }

  #succeed(): void {
    if (!this.#succeeded) this.#attempts.succeeded();
    this.#succeeded = true;
  }

  #attemptEnded(end: StreamEnd): void {
    if (end.outcome === "error" && !this.#committed) return;
    if (end.outcome === "ok") this.#succeed();
    else this.#attempts.abandoned();
    this.#end(end);
  }

  async #afterFailure(error: unknown): Promise<void> {
    this.#stream = undefined;
    try {
      await this.#wait(this.#attempts.failed(error));
      if (!this.#over) this.#attempts.begin();
    } catch (final) {
      this.#end(this.#endWith(final));
      throw final;
    }
  }

  #endWith(final: unknown): StreamEnd {
    const { signal, method } = this.#attempts.call;
    if (signal?.aborted) return { outcome: "cancelled" };
    const error = RpcError.from(final, method.path);
    return { outcome: "error", error, trailer: error.trailer };
  }

  /** Ends early, without an error, when the stream is left. @throws the signal's reason when it aborts. */
  #wait(delayMs: number): Promise<void> {
    const { clock, call } = this.#attempts;
    const { signal } = call;
    const over = Promise.withResolvers<void>();
    const onAbort = () => {
      this.#attempts.abandoned();
      this.#end({ outcome: "cancelled" });
      over.reject(signal?.reason);
    };
    const timer: Timer = clock.setTimer(delayMs, over.resolve);
    this.#endWait = over.resolve;
    signal?.addEventListener("abort", onAbort, { once: true });
    return over.promise.finally(() => {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      this.#endWait = undefined;
    });
  }

  #end(end: StreamEnd): void {
    this.#over = true;
    this.#watchers.end(end);
    this.#endWait?.();
  }
}
