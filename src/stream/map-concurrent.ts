import { isBoolean, isCount, isFunction } from "../core/check-options.ts";
import { checkArguments, EVERY, isSource } from "./check-arguments.ts";
import type { OperatorOptions, OperatorStream } from "./operator-stream.ts";
import { type Failure, NOTHING } from "./outlet.ts";
import { isPromiseLike } from "./relay.ts";
import { Stage } from "./stage.ts";

/** How `mapConcurrent` works. */
export interface MapConcurrentOptions extends OperatorOptions {
  /**
   * Whether results come in the order of their messages; otherwise each comes as soon as it is there. Default: true,
   * since most streams mean something by their order; a slow message then holds up the results behind it.
   */
  readonly ordered?: boolean | undefined;
}

/** Works on one message; `signal` aborts when nobody wants the result any more. */
type Transform<In, Out> = (message: In, signal: AbortSignal) => Out | PromiseLike<Out>;

/** A message's place in the results. */
interface Slot<Out> {
  outcome: { readonly value: Out } | Failure | undefined;
}

class MapConcurrent<In, Out> extends Stage<In, Out> {
  readonly #concurrency: number;
  readonly #transform: Transform<In, Out>;
  readonly #ordered: boolean;
  readonly #leaving = new AbortController();
  /** In the order in which they are handed out: every one, or those that have their outcome. */
  readonly #slots: Slot<Out>[] = [];
  /** Messages that were read and whose result was not. */
  #held = 0;

  constructor(
    source: AsyncIterable<In>,
    concurrency: number,
    transform: Transform<In, Out>,
    options: MapConcurrentOptions,
  ) {
    super(source, options.signal);
    this.#concurrency = concurrency;
    this.#transform = transform;
    this.#ordered = options.ordered ?? true;
  }

  message(message: In): void {
    const slot: Slot<Out> = { outcome: undefined };
    this.#held += 1;
    if (this.#ordered) this.#slots.push(slot);
    this.#work(message, slot);
    this.serve();
  }

  protected override get isIdle(): boolean {
    return this.#held === 0;
  }

  protected take(): Out | typeof NOTHING {
    const outcome = this.#slots[0]?.outcome;
    if (!outcome) return NOTHING;
    this.#slots.shift();
    this.#held -= 1;
    if ("value" in outcome) return outcome.value;
    this.end(outcome);
    return NOTHING;
  }

  protected pull(): void {
    if (this.#held < this.#concurrency) this.intake.read();
  }

  protected override leave(): Promise<void> {
    if (this.#held > 0) this.#leaving.abort();
    return super.leave();
  }

  #work(message: In, slot: Slot<Out>): void {
    const transform = this.#transform;
    try {
      const made = transform(message, this.#leaving.signal);
      if (isPromiseLike(made)) void this.#whenMade(made, slot);
      else this.#settle(slot, { value: made });
    } catch (error) {
      this.#fail(slot, error);
    }
  }

  async #whenMade(made: PromiseLike<Out>, slot: Slot<Out>): Promise<void> {
    try {
      this.#settle(slot, { value: await made });
    } catch (error) {
      this.#fail(slot, error);
    }
    this.serve();
  }

  #fail(slot: Slot<Out>, error: unknown): void {
    this.#settle(slot, { error });
    this.intake.drop();
  }

  #settle(slot: Slot<Out>, outcome: NonNullable<Slot<Out>["outcome"]>): void {
    slot.outcome = outcome;
    if (!this.#ordered) this.#slots.push(slot);
  }
}

/**
 * What `transform` makes of each message, up to `concurrency` of them at a time. At most that many messages are held,
 * those whose result waits to be read included; so the reader's pace is the source's.
 *
 * If `transform` fails, the source is left at once, and the error takes the result's place among the others. Then, or
 * when the stream is left, the signal that `transform` was given aborts.
 *
 * @throws TypeError that lists every argument that does not fit.
 */
export function mapConcurrent<In, Out>(
  source: AsyncIterable<In>,
  concurrency: number,
  transform: (message: In, signal: AbortSignal) => Out | PromiseLike<Out>,
  options: MapConcurrentOptions = {},
): OperatorStream<Out> {
  const given = {
    source: [source, isSource],
    concurrency: [concurrency, isCount],
    transform: [transform, isFunction],
  } as const;
  checkArguments("mapConcurrent", given, options, { ...EVERY, ordered: isBoolean });
  return new MapConcurrent(source, concurrency, transform, options);
}
