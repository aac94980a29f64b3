import { warnRarely } from "../core/warning.ts";

/** A source that is being read. It is opened when it is first read or left, and left at most once. */
export class Upstream<Message> {
  readonly #source: AsyncIterable<Message>;
  #iterator: AsyncIterator<Message, unknown> | undefined;
  #isOver = false;

  constructor(source: AsyncIterable<Message>) {
    this.#source = source;
  }

  /** Whether it has ended or been left. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The source's next message. What an iterator throws instead of rejecting, it rejects with. */
  next(): Promise<IteratorResult<Message, unknown>> {
    try {
      return Promise.resolve(this.#open().next());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** It was done, or it failed: there is nothing to leave. */
  ended(): void {
    this.#isOver = true;
  }

  /**
   * Calls its `return()`, before this returns, unless it is over.
   *
   * @throws what that throws.
   */
  async leave(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#open().return?.();
  }

  /** Leaves it where nobody waits for that: what its `return()` throws becomes a process warning. */
  drop(): void {
    this.leave().catch(warnOfReturn);
  }

  #open(): AsyncIterator<Message, unknown> {
    this.#iterator ??= this.#source[Symbol.asyncIterator]();
    return this.#iterator;
  }
}

/** Reports an error of a source's `return()` that nobody waits for. */
export function warnOfReturn(error: unknown): void {
  warnRarely("a source's return() threw", error);
}

/** Is told what comes out of a source. */
export interface Sink<Message> {
  message(message: Message): void;
  done(): void;
  failed(error: unknown): void;
}

/** A source that is read message by message into a sink, which hears nothing more once it is left. */
export class Intake<Message> extends Upstream<Message> {
  readonly #sink: Sink<Message>;
  #isReading = false;

  constructor(source: AsyncIterable<Message>, sink: Sink<Message>) {
    super(source);
    this.#sink = sink;
  }

  /** Asks for a message, unless one is on its way or none will come. */
  read(): void {
    if (this.#isReading || this.isOver) return;
    this.#isReading = true;
    this.next().then(this.#onResult, this.#onError);
  }

  readonly #onResult = (result: IteratorResult<Message, unknown>): void => {
    this.#isReading = false;
    if (this.isOver) return;
    if (!result.done) return this.#sink.message(result.value);
    this.ended();
    this.#sink.done();
  };

  readonly #onError = (error: unknown): void => {
    this.#isReading = false;
    if (this.isOver) return;
    this.ended();
    this.#sink.failed(error);
  };
}
