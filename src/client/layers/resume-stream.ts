import type { StreamHandler } from "../../core/call.ts";
import type { Cursor } from "../../core/cursor.ts";
import { DONE, type MessageStream, type StreamEnd, type StreamWatcher, Watchers } from "../../core/message-stream.ts";
import { endOf } from "../../core/stream-end.ts";
import type { Reopenings } from "./reopenings.ts";

type Next = IteratorResult<unknown, undefined>;

/** A server-stream that is opened again when it breaks. It is reopened when somebody waits for its next message. */
export class ResumeStream implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #reopenings: Reopenings;
  readonly #open: StreamHandler;
  #stream: MessageStream | undefined;
  #over = false;
  /** Steps are taken one after the other, since one may take several messages off the stream. */
  #steps = 0;
  #lastStep: Promise<unknown> = Promise.resolve();

  constructor(reopenings: Reopenings, open: StreamHandler) {
    this.#reopenings = reopenings;
    this.#open = open;
  }

  get cursor(): Cursor | undefined {
    return this.#reopenings.cursor;
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<Next> {
    this.#steps += 1;
    const isAlone = this.#steps === 1;
    const step = isAlone && this.#stream ? this.#stream.next().then(this.#onNext, this.#onBreak) : this.#queue(isAlone);
    this.#lastStep = step;
    return step;
  }

  return(): Promise<Next> {
    this.#finish({ outcome: "cancelled" });
    this.#reopenings.wake();
    return this.#stream?.return() ?? Promise.resolve(DONE);
  }

  #queue(isAlone: boolean): Promise<Next> {
    const last = isAlone ? undefined : this.#lastStep.then(undefined, () => {});
    return this.#untilDone(last ? last.then(() => this.#search()) : this.#search());
  }

  /** Settles in the very turn in which the next step may be taken, so that no later one overtakes it. */
  async #untilDone(step: Promise<Next>): Promise<Next> {
    try {
      return await step;
    } finally {
      this.#steps -= 1;
    }
  }

  /** The short way: a message that is delivered as it is. */
  readonly #onNext = (result: Next): Next | Promise<Next> => {
    this.#steps -= 1;
    if (this.#isWanted(result)) return result;
    this.#steps += 1;
    return this.#untilDone(this.#search());
  };

  readonly #onBreak = (error: unknown): Promise<Next> => {
    return this.#untilDone(this.#broke(error).then(() => this.#search()));
  };

  /** The next message to deliver, over as many messages and openings as it takes. */
  async #search(): Promise<Next> {
    while (!this.#over) {
      const result = await this.#tryNext();
      if (result && this.#isWanted(result)) return result;
    }
    return DONE;
  }

  /** @returns undefined if the stream broke, and the wait before it may be opened again is over. */
  async #tryNext(): Promise<Next | undefined> {
    try {
      this.#stream ??= this.#begin();
      return await this.#stream.next();
    } catch (error) {
      await this.#broke(error);
      return undefined;
    }
  }

  #isWanted({ done, value }: Next): boolean {
    if (done) {
      this.#over = true;
      return false;
    }
    try {
      const verdict = this.#reopenings.message(value);
      if (verdict === "surplus") this.#leave();
      return verdict === "deliver";
    } catch (error) {
      // A position that is none: a mistake of the program's, which the next attempt would meet again.
      this.#finish(endOf(error, this.#reopenings.call));
      void this.#stream?.return();
      throw error;
    }
  }

  /** Everything that was asked for has come, and the server goes on. */
  #leave(): void {
    this.#finish({ outcome: "ok" });
    void this.#stream?.return();
  }

  readonly #onAbort = () => this.#tellEnd({ outcome: "cancelled" });

  async #broke(error: unknown): Promise<void> {
    this.#stream = undefined;
    this.#reopenings.call.signal?.removeEventListener("abort", this.#onAbort);
    if (this.#over) return;
    try {
      if (!(await this.#reopenings.broke(error))) this.#finish({ outcome: "ok" });
    } catch (final) {
      if (this.#over) return;
      this.#finish(endOf(final, this.#reopenings.call));
      throw final;
    }
  }

  #begin(): MessageStream {
    const stream = this.#open(this.#reopenings.begin());
    stream.watch({
      onHeaders: (header) => {
        this.#reopenings.opened(header);
        this.#watchers.headers(() => header);
      },
      onFirstMessage: () => this.#watchers.firstMessage(),
      onEnd: (end) => {
        if (!end.error) return this.#tellEnd(end);
        // Whoever asks for a message hears of it, and may open the stream again. Nobody does who has left.
        this.#reopenings.call.signal?.addEventListener("abort", this.#onAbort, { once: true });
      },
    });
    return stream;
  }

  #finish(end: StreamEnd): void {
    this.#over = true;
    this.#tellEnd(end);
  }

  #tellEnd(end: StreamEnd): void {
    this.#reopenings.call.signal?.removeEventListener("abort", this.#onAbort);
    this.#reopenings.abandoned();
    this.#watchers.end(end);
  }
}
