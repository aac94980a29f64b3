import type { Clock, Timer } from "../core/clock.ts";
import { DONE } from "../core/message-stream.ts";
import { warnRarely } from "../core/warning.ts";

/** What heartbeats are made with. */
export interface Heartbeats {
  /** After how many milliseconds without a message there is one. */
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Makes one. */
  message(): unknown;
}

type Next = IteratorResult<unknown, undefined>;

/**
 * A handler's stream with heartbeats between its messages, while it is at work on the next one and somebody waits for
 * that (rule S6).
 *
 * The handler is opened with a signal of its own. It aborts with the call's, and when the stream is left at a
 * heartbeat: the handler is then in the middle of a step, which nothing else could end. Each step of the handler is
 * begun by a call of `next()` and none by a timer, so that it runs in the async context of whoever reads.
 */
export function withHeartbeats(
  signal: AbortSignal,
  heartbeats: Heartbeats,
  open: (signal: AbortSignal) => AsyncIterable<unknown>,
): AsyncIterableIterator<unknown, undefined> {
  const controller = new AbortController();
  const follow = () => controller.abort(signal.reason);
  if (signal.aborted) follow();
  else signal.addEventListener("abort", follow, { once: true });
  return new HeartbeatStream(open(controller.signal), heartbeats, controller);
}

class HeartbeatStream implements AsyncIterableIterator<unknown, undefined> {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #heartbeats: Heartbeats;
  readonly #controller: AbortController;
  /** Who waits for a message, and since when. */
  #reader: PromiseWithResolvers<Next> | undefined;
  #since = 0;
  /** Those who asked while another one waited. */
  #queued = 0;
  #lastQueued: Promise<Next> | undefined;
  /** Looks, when an interval is over, how long the reader has waited: so none is set for each message. */
  #timer: Timer | undefined;
  /** Whether the handler is at work on a step. */
  #working = false;
  /** What a step came to while its reader was away with a heartbeat. */
  #message: Next | undefined;
  #failure: { readonly error: unknown } | undefined;
  #over = false;
  /** Whether it was left: what the handler fails with then is told to who left. */
  #left = false;

  constructor(messages: AsyncIterable<unknown>, heartbeats: Heartbeats, controller: AbortController) {
    this.#iterator = messages[Symbol.asyncIterator]();
    this.#heartbeats = heartbeats;
    this.#controller = controller;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Next> {
    if (!this.#reader && this.#queued === 0) return this.#ask();
    const before = this.#queued > 0 ? this.#lastQueued : this.#reader?.promise;
    const ask = () => {
      this.#queued -= 1;
      return this.#ask();
    };
    this.#queued += 1;
    this.#lastQueued = Promise.resolve(before).then(ask, ask);
    return this.#lastQueued;
  }

  /** Leaves the handler: at its last message, or in the middle of a step, whose signal then aborts. */
  async return(): Promise<Next> {
    this.#left = true;
    if (!this.#over) await this.#leave();
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure && !this.#isOfLeaving(failure.error)) throw failure.error;
    return DONE;
  }

  /** Whoever reads could not go on with a message: the handler is left. */
  async throw(error: unknown): Promise<Next> {
    await this.return();
    throw error;
  }

  #ask(): Promise<Next> {
    const kept = this.#takeKept();
    if (kept) return kept;
    const reader = Promise.withResolvers<Next>();
    const { clock, intervalMs } = this.#heartbeats;
    this.#reader = reader;
    this.#since = clock.now();
    this.#timer ??= clock.setTimer(intervalMs, this.#onTimer);
    if (!this.#working) this.#step();
    return reader.promise;
  }

  /** What needs no further step. */
  #takeKept(): Promise<Next> | undefined {
    if (this.#left) return Promise.resolve(DONE);
    const failure = this.#failure;
    const message = this.#message;
    this.#failure = undefined;
    this.#message = undefined;
    if (failure) return Promise.reject(failure.error);
    if (this.#over) return Promise.resolve(DONE);
    return message && Promise.resolve(message);
  }

  #step(): void {
    this.#working = true;
    try {
      Promise.resolve(this.#iterator.next()).then(this.#onMessage, this.#onFailure);
    } catch (error) {
      this.#onFailure(error);
    }
  }

  readonly #onMessage = (result: IteratorResult<unknown>): void => {
    this.#working = false;
    if (result.done) return this.#end();
    if (this.#reader) this.#answer(result);
    else this.#message = result;
  };

  readonly #onFailure = (error: unknown): void => {
    this.#working = false;
    const reader = this.#reader;
    reader?.reject(error);
    if (!reader) this.#failure = { error };
    this.#end();
  };

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    // The next reader sets another one; once the call is over, none is wanted.
    if (!this.#reader || this.#controller.signal.aborted) return;
    const { clock, intervalMs } = this.#heartbeats;
    const missingMs = this.#since + intervalMs - clock.now();
    if (missingMs > 0) this.#timer = clock.setTimer(missingMs, this.#onTimer);
    else this.#beat();
  };

  #beat(): void {
    try {
      this.#answer({ done: false, value: this.#heartbeats.message() });
    } catch (error) {
      this.#reader?.reject(error);
      this.return().catch((failure: unknown) => warnRarely("a stream whose heartbeat failed, failed again", failure));
    }
  }

  #answer(result: Next): void {
    this.#reader?.resolve(result);
    this.#reader = undefined;
  }

  async #leave(): Promise<void> {
    this.#end();
    if (this.#working) this.#controller.abort(new DOMException("The stream was left", "AbortError"));
    await this.#iterator.return?.();
  }

  #end(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#answer(DONE);
  }

  #isOfLeaving(error: unknown): boolean {
    const { aborted, reason } = this.#controller.signal;
    return aborted && (error === reason || (error instanceof Error && error.name === "AbortError"));
  }
}
