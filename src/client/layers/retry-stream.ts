import type { StreamHandler } from "../../core/call.ts";
import { RpcError } from "../../core/errors.ts";
import { DONE, type MessageStream, type StreamEnd, type StreamWatcher, Watchers } from "../../core/message-stream.ts";
import { endOf } from "../../core/stream-end.ts";
import type { Attempts } from "./attempts.ts";

type Next = IteratorResult<unknown, undefined>;

/**
 * A server-stream that is opened again until its headers come; from then on its messages are the attempt's own (rule
 * R3), and only its error is told with what came before.
 */
export class RetryStream implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #attempts: Attempts;
  readonly #open: StreamHandler;
  #stream: MessageStream | undefined;
  #committed = false;
  #succeeded = false;
  #left = false;
  #over = false;
  /** What the call ends with, once the stream has broken after its headers. */
  #broken: RpcError | undefined;
  /** Steps before the stream is committed are taken one after the other. */
  #lastStep: Promise<unknown> = Promise.resolve();
  #steps = 0;

  constructor(attempts: Attempts, open: StreamHandler) {
    this.#attempts = attempts;
    this.#open = open;
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<Next> {
    const isAlone = this.#steps === 0;
    if (this.#committed && isAlone && this.#stream) return this.#stream.next().catch(this.#onBreak);
    this.#steps += 1;
    const step = (isAlone ? this.#step() : this.#lastStep.then(() => this.#step())).finally(() => {
      this.#steps -= 1;
    });
    this.#lastStep = step.catch(() => {});
    return step;
  }

  return(): Promise<Next> {
    this.#left = true;
    this.#end({ outcome: "cancelled" });
    return this.#stream?.return() ?? Promise.resolve(DONE);
  }

  async #step(): Promise<Next> {
    try {
      while (!this.#over || this.#committed) {
        const result = await this.#tryNext();
        if (result) return result;
      }
      return DONE;
    } catch (final) {
      this.#end(endOf(final, this.#attempts.call));
      throw final;
    }
  }

  /** @returns undefined if the attempt failed, and the wait before another is over. */
  async #tryNext(): Promise<Next | undefined> {
    this.#stream ??= this.#begin();
    try {
      return await this.#stream.next();
    } catch (error) {
      if (this.#over) return this.#onBreak(error);
      this.#stream = undefined;
      await this.#attempts.wait(this.#attempts.failed(error));
      return undefined;
    }
  }

  #begin(): MessageStream {
    const stream = this.#open(this.#attempts.begin());
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
    if (end.outcome === "ok") this.#succeed();
    if (!end.error) return this.#end(end);
    // Until it is committed, whoever waits for a message hears of it, and may make another attempt.
    if (!this.#committed) return;
    this.#broken = this.#attempts.broke(end.error);
    this.#end({ ...end, error: this.#broken });
  }

  /** The attempt's last word to whoever waits for a message, once the stream is over. */
  readonly #onBreak = (error: unknown): Next => {
    if (this.#left) return DONE;
    throw error instanceof RpcError && this.#broken ? this.#broken : error;
  };

  #end(end: StreamEnd): void {
    this.#over = true;
    this.#attempts.abandoned();
    this.#watchers.end(end);
    this.#attempts.wake();
  }
}
