import type { OperatorStream } from "./operator-stream.ts";
import { NOTHING, Outlet } from "./outlet.ts";
import { Intake, type Sink } from "./upstream.ts";

/** Hands on each message as it is, and need not wait for its source to end. */
export class Passage<Message> extends Outlet<Message> implements Sink<Message> {
  readonly #intake: Intake<Message>;
  #message: Message | typeof NOTHING = NOTHING;

  constructor(source: AsyncIterable<Message>, signal: AbortSignal | undefined) {
    super(signal);
    this.#intake = new Intake(source, this);
  }

  message(message: Message): void {
    this.#message = message;
    this.serve();
  }

  done(): void {
    this.finish();
  }

  failed(error: unknown): void {
    this.finish({ error });
  }

  protected take(): Message | typeof NOTHING {
    const message = this.#message;
    this.#message = NOTHING;
    return message;
  }

  protected pull(): void {
    if (this.isWanted) this.#intake.read();
  }

  protected leave(): Promise<void> {
    return this.#intake.leave();
  }
}

/**
 * A stream that ends as soon as a signal aborts, whatever it waits for; around an operator, its callback too. Without a
 * signal it is the stream itself.
 */
export function until<Message>(
  stream: OperatorStream<Message>,
  signal: AbortSignal | undefined,
): OperatorStream<Message>;
export function until<Message>(source: AsyncIterable<Message>, signal: AbortSignal | undefined): AsyncIterable<Message>;
export function until<Message>(
  source: AsyncIterable<Message>,
  signal: AbortSignal | undefined,
): AsyncIterable<Message> {
  return signal ? new Passage(source, signal) : source;
}
