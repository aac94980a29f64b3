import { show } from "../../core/check-options.ts";
import { DONE } from "../../core/message-stream.ts";
import { tell } from "../../core/warning.ts";

/** What a replay gives: all at once, or bit by bit. */
type Messages<Message> = Iterable<Message> | AsyncIterable<Message>;

/** Reads again what was published, from where it is kept: see `BroadcastOptions.replay`. */
export type ReplaySource<Message, Cursor> = (
  after: Cursor,
  signal: AbortSignal,
) => Messages<Message> | Promise<Messages<Message>>;

/** One replay for one subscriber. */
export class Replay<Message> {
  readonly #controller = new AbortController();
  readonly #messages: () => Messages<Message> | Promise<Messages<Message>>;
  #iterator: Iterator<Message> | AsyncIterator<Message> | undefined;
  #isOver = false;

  constructor(open: (signal: AbortSignal) => Messages<Message> | Promise<Messages<Message>>) {
    this.#messages = () => open(this.#controller.signal);
  }

  /** The next message. Nothing is asked for before the first call. Never called again before it has settled. */
  async next(): Promise<IteratorResult<Message, undefined>> {
    try {
      this.#iterator ??= iterate(await this.#messages());
      // Left while it was opened.
      if (this.#isOver) this.#return();
      const result = this.#isOver ? undefined : await this.#iterator.next();
      if (result && !result.done) return result;
    } catch (error) {
      this.#isOver = true;
      throw error;
    }
    this.#isOver = true;
    return DONE;
  }

  /** Leaves it where it is, if it is under way. What goes wrong then becomes a process warning. */
  leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#controller.abort(new DOMException("The replay was left", "AbortError"));
    this.#return();
  }

  #return(): void {
    tell("a broadcast's replay threw when it was left", () => this.#iterator?.return?.());
  }
}

/** @throws TypeError for what is nothing to read; types alone do not keep `replay` from it. */
function iterate<Message>(messages: Messages<Message>): Iterator<Message> | AsyncIterator<Message> {
  if (typeof messages !== "object" || messages === null) throw notIterable(messages);
  if (Symbol.asyncIterator in messages) return messages[Symbol.asyncIterator]();
  if (Symbol.iterator in messages) return messages[Symbol.iterator]();
  throw notIterable(messages);
}

function notIterable(returned: unknown): TypeError {
  const wanted = "an iterable or AsyncIterable of messages, such as an array, or a promise of one";
  return new TypeError(`a broadcast's replay returns ${wanted}; it returned ${show(returned)}`);
}
