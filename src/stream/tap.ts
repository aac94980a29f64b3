import { isFunction } from "../core/check-options.ts";
import { checkArguments, EVERY, isSource } from "./check-arguments.ts";
import type { OperatorOptions, OperatorStream } from "./operator-stream.ts";
import { until } from "./passage.ts";
import { isPromiseLike, Relay } from "./relay.ts";

class Tap<Message> extends Relay<Message, Message> {
  readonly #look: (message: Message) => unknown;

  constructor(source: AsyncIterable<Message>, look: (message: Message) => unknown) {
    super(source);
    this.#look = look;
  }

  protected step(message: Message): Message | PromiseLike<Message> {
    const look = this.#look;
    const looked = look(message);
    return isPromiseLike(looked) ? looked.then(() => message) : message;
  }
}

/**
 * Shows each message to `look` before it is passed on. A promise that `look` returns is waited for; what it throws ends
 * the stream, as it would in the body of a `for await`.
 *
 * @throws TypeError that lists every argument that does not fit.
 */
export function tap<Message>(
  source: AsyncIterable<Message>,
  look: (message: Message) => unknown,
  options: OperatorOptions = {},
): OperatorStream<Message> {
  checkArguments("tap", { source: [source, isSource], look: [look, isFunction] }, options, EVERY);
  return until(new Tap(source, look), options.signal);
}
