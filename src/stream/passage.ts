import type { OperatorStream } from "./operator-stream.ts";
import { NOTHING } from "./outlet.ts";
import { Stage } from "./stage.ts";

/** Hands on each message as it is, and need not wait for its source to end. */
export class Passage<Message> extends Stage<Message> {
  #message: Message | typeof NOTHING = NOTHING;

  message(message: Message): void {
    this.#message = message;
    this.serve();
  }

  protected take(): Message | typeof NOTHING {
    const message = this.#message;
    this.#message = NOTHING;
    return message;
  }

  protected pull(): void {
    if (this.isWanted) this.intake.read();
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
