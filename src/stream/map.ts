import { isFunction } from "../core/check-options.ts";
import { checkArguments, EVERY, isSource } from "./check-arguments.ts";
import type { OperatorOptions, OperatorStream } from "./operator-stream.ts";
import { until } from "./passage.ts";
import { Relay } from "./relay.ts";

class Mapped<In, Out> extends Relay<In, Out> {
  readonly #transform: (message: In) => Out | PromiseLike<Out>;

  constructor(source: AsyncIterable<In>, transform: (message: In) => Out | PromiseLike<Out>) {
    super(source);
    this.#transform = transform;
  }

  protected step(message: In): Out | PromiseLike<Out> {
    const transform = this.#transform;
    return transform(message);
  }
}

/**
 * What `transform` makes of each message, in order. If that takes a promise, the next message is asked for after it:
 * see `mapConcurrent` for several at a time.
 *
 * @throws TypeError that lists every argument that does not fit.
 */
export function map<In, Out>(
  source: AsyncIterable<In>,
  transform: (message: In) => Out | PromiseLike<Out>,
  options: OperatorOptions = {},
): OperatorStream<Out> {
  checkArguments("map", { source: [source, isSource], transform: [transform, isFunction] }, options, EVERY);
  return until(new Mapped(source, transform), options.signal);
}
