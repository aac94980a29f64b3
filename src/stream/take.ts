import { type OptionCheck, show } from "../core/check-options.ts";
import { checkArguments, EVERY, isSource } from "./check-arguments.ts";
import type { OperatorOptions, OperatorStream, Result } from "./operator-stream.ts";
import { until } from "./passage.ts";
import { Relay } from "./relay.ts";

class Take<Message> extends Relay<Message, Message> {
  #left: number;

  constructor(source: AsyncIterable<Message>, count: number) {
    super(source);
    this.#left = count;
  }

  override next(): Promise<Result<Message>> {
    if (this.#left === 0) this.stop();
    return super.next();
  }

  protected step(message: Message): Message {
    this.#left -= 1;
    if (this.#left === 0) this.stop();
    return message;
  }
}

const isAmount: OptionCheck = (value) =>
  value === 0 || (Number.isInteger(value) && (value as number) > 0) || value === Number.POSITIVE_INFINITY
    ? undefined
    : `must be a whole number of at least 0; it is ${show(value)}`;

/**
 * The first `count` messages. The source is left together with the last of them, not when one more is asked for: a call
 * ends on the wire as soon as it has served.
 *
 * @throws TypeError that lists every argument that does not fit.
 */
export function take<Message>(
  source: AsyncIterable<Message>,
  count: number,
  options: OperatorOptions = {},
): OperatorStream<Message> {
  checkArguments("take", { source: [source, isSource], count: [count, isAmount] }, options, EVERY);
  // Around its source: that is left, and with it the signal, together with the last message.
  return new Take(until(source, options.signal), count);
}
