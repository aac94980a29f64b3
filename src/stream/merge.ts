import type { OptionCheck } from "../core/check-options.ts";
import { checkArguments, EVERY, isSource } from "./check-arguments.ts";
import type { OperatorOptions, OperatorStream } from "./operator-stream.ts";
import { NOTHING, Outlet } from "./outlet.ts";
import { Intake } from "./upstream.ts";

interface Arrived<Message> {
  readonly input: Intake<Message>;
  readonly message: Message;
}

/**
 * Messages are handed out in the order of their coming, and a source is read on only once its message was taken: so
 * each has one at most in the queue, and waits for one of each other source at most.
 */
class Merge<Message> extends Outlet<Message> {
  readonly #inputs: readonly Intake<Message>[];
  /** Inputs whose message was taken, and that are not being read. */
  #idle: Intake<Message>[];
  readonly #arrived: Arrived<Message>[] = [];
  #open: number;

  constructor(sources: readonly AsyncIterable<Message>[], signal: AbortSignal | undefined) {
    super(signal);
    this.#inputs = sources.map((source) => this.#inputFrom(source));
    this.#idle = [...this.#inputs];
    this.#open = this.#inputs.length;
    if (this.#open === 0) this.finish();
  }

  protected take(): Message | typeof NOTHING {
    const first = this.#arrived.shift();
    if (!first) return NOTHING;
    this.#idle.push(first.input);
    return first.message;
  }

  protected pull(): void {
    if (!this.isWanted) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const input of idle) input.read();
  }

  protected leave(): Promise<void> {
    return leaveAll(this.#inputs);
  }

  #inputFrom(source: AsyncIterable<Message>): Intake<Message> {
    const input: Intake<Message> = new Intake(source, {
      message: (message) => {
        this.#arrived.push({ input, message });
        this.serve();
      },
      done: () => {
        this.#open -= 1;
        if (this.#open === 0) this.finish();
      },
      failed: (error) => {
        for (const other of this.#inputs) other.drop();
        this.finish({ error });
      },
    });
    return input;
  }
}

/** @throws the error of the one that threw; AggregateError if there were several. */
async function leaveAll(inputs: readonly { leave(): Promise<void> }[]): Promise<void> {
  const left = await Promise.allSettled(inputs.map((input) => input.leave()));
  const errors = left.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  if (errors.length > 1) throw new AggregateError(errors, "several sources threw when they were left");
  if (errors.length === 1) throw errors[0];
}

const areSources: OptionCheck = (value) => {
  if (!Array.isArray(value)) return "must be an array of AsyncIterables";
  const wrong = value.flatMap((source, index) => {
    const problem = isSource(source);
    return problem ? [`[${index}] ${problem}`] : [];
  });
  return wrong.length > 0 ? wrong.join(", ") : undefined;
};

/** The messages of an array of sources. */
type MessageOf<Sources extends readonly AsyncIterable<unknown>[]> =
  Sources[number] extends AsyncIterable<infer Message> ? Message : never;

/**
 * The messages of several sources, those of each in order, until all have ended. It is fair: a message waits for at
 * most one of each other source, however busy they are. It is bounded: at most one message of each source is held, and
 * none is asked for while nobody waits. If one source fails, the others are left.
 *
 * @throws TypeError that lists every argument that does not fit.
 */
export function merge<const Sources extends readonly AsyncIterable<unknown>[]>(
  sources: Sources,
  options: OperatorOptions = {},
): OperatorStream<MessageOf<Sources>> {
  checkArguments("merge", { sources: [sources, areSources] }, options, EVERY);
  return new Merge(sources as readonly AsyncIterable<MessageOf<Sources>>[], options.signal);
}
