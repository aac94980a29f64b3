import { isFunction } from "../core/check-options.ts";
import { checkArguments, EVERY, isSource } from "./check-arguments.ts";
import type { OperatorOptions, OperatorStream } from "./operator-stream.ts";
import { until } from "./passage.ts";
import { isPromiseLike, Relay, SKIP } from "./relay.ts";

type Predicate<Message> = (message: Message) => boolean | PromiseLike<boolean>;

class Filter<Message> extends Relay<Message, Message> {
  readonly #isWanted: Predicate<Message>;

  constructor(source: AsyncIterable<Message>, isWanted: Predicate<Message>) {
    super(source);
    this.#isWanted = isWanted;
  }

  protected step(message: Message): Message | typeof SKIP | PromiseLike<Message | typeof SKIP> {
    const isWanted = this.#isWanted;
    const wanted = isWanted(message);
    if (isPromiseLike(wanted)) return wanted.then((itIs) => (itIs ? message : SKIP));
    return wanted ? message : SKIP;
  }
}

/**
 * The messages that `isWanted` says true of, in order. With a type predicate the others' type is gone, too. A promise
 * that it returns is waited for.
 *
 * @throws TypeError that lists every argument that does not fit.
 */
export function filter<Message, Wanted extends Message>(
  source: AsyncIterable<Message>,
  isWanted: (message: Message) => message is Wanted,
  options?: OperatorOptions,
): OperatorStream<Wanted>;
export function filter<Message>(
  source: AsyncIterable<Message>,
  isWanted: (message: Message) => boolean | PromiseLike<boolean>,
  options?: OperatorOptions,
): OperatorStream<Message>;
export function filter<Message>(
  source: AsyncIterable<Message>,
  isWanted: Predicate<Message>,
  options: OperatorOptions = {},
): OperatorStream<Message> {
  checkArguments("filter", { source: [source, isSource], isWanted: [isWanted, isFunction] }, options, EVERY);
  return until(new Filter(source, isWanted), options.signal);
}
