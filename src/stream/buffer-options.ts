import { isCount, isFunction, isOneOf, isPositive, type OptionCheck } from "../core/check-options.ts";
import type { TimedOperatorOptions } from "./batch.ts";
import type { Overflow, QueueRules } from "./bounded-queue.ts";
import { checkArguments, isSource, TIMED } from "./check-arguments.ts";

/** How far `buffer` reads ahead, and what it does then. */
export interface BufferOptions<Message> extends TimedOperatorOptions {
  /**
   * How many messages may wait to be read. Default: 1,000, as many as a broadcast lets a subscriber lag behind: a burst,
   * and a few hundred kilobytes of small messages.
   */
  readonly maxMessages?: number | undefined;
  /**
   * How many bytes they may have, as `sizeOf` says; one that is larger is taken while nothing else is held. Default,
   * with `sizeOf`: 4 MiB, the greatest message that gRPC takes unless it is told otherwise; else no bound, for nobody
   * knows how large a decoded message is.
   */
  readonly maxBytes?: number | undefined;
  /** A message's size in bytes; asked once for each. Default: none. */
  readonly sizeOf?: ((message: Message) => number) | undefined;
  /**
   * What becomes of a message that does not fit: `block`, `drop-oldest`, `drop-newest`, `latest-by-key` or `error`.
   * Default: `block`, the only one that neither loses a message nor ends the stream.
   */
  readonly overflow?: Overflow | undefined;
  /** With `latest-by-key`, which needs it: what a message is about. Keys are compared as those of a `Map`. */
  readonly key?: ((message: Message) => unknown) | undefined;
  /**
   * Is told of each message that is dropped, at once. What it throws becomes a process warning. Messages that nobody
   * read when the stream was left are not dropped ones.
   */
  readonly onDrop?: ((message: Message) => void) | undefined;
}

const OVERFLOWS = ["block", "drop-oldest", "drop-newest", "latest-by-key", "error"] satisfies Overflow[];

const BUFFER: Readonly<Record<keyof BufferOptions<unknown>, OptionCheck>> = {
  ...TIMED,
  maxMessages: isCount,
  maxBytes: isPositive,
  sizeOf: isFunction,
  overflow: isOneOf(...OVERFLOWS),
  key: isFunction,
  onDrop: isFunction,
};

/** How many messages wait to be read at most, unless said otherwise. */
export const DEFAULT_BUFFER_MESSAGES = 1_000;
/** How many bytes they have at most, unless said otherwise, where sizes are known. */
export const DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * The bounds that options say.
 *
 * @throws TypeError that lists every problem.
 */
export function resolveBuffer<Message>(source: unknown, options: BufferOptions<Message>): QueueRules {
  const { maxMessages, maxBytes, sizeOf, overflow, key } = options ?? {};
  checkArguments("buffer", { source: [source, isSource] }, options, BUFFER, [
    ...(maxBytes !== undefined && !sizeOf ? ["maxBytes takes sizeOf, which says how large a message is"] : []),
    ...(overflow === "latest-by-key" && !key ? ["overflow latest-by-key takes key"] : []),
    ...(overflow !== "latest-by-key" && key ? ["key is for overflow latest-by-key alone"] : []),
  ]);
  return {
    maxMessages: maxMessages ?? DEFAULT_BUFFER_MESSAGES,
    maxBytes: maxBytes ?? (sizeOf ? DEFAULT_BUFFER_BYTES : Number.POSITIVE_INFINITY),
    overflow: overflow ?? "block",
  };
}
