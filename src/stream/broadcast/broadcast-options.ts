import { checkOptions, isCount, isFunction, isOneOf, type OptionCheck } from "../../core/check-options.ts";
import type { Compare } from "../../policy/broadcast-log.ts";
import type { LagPolicy } from "../../policy/broadcast-reader.ts";
import type { ReplaySource } from "./replay.ts";
import type { SubscribeOptions } from "./subscription.ts";

/** What holds for a broadcast. */
export interface BroadcastOptions<Message, Cursor> {
  /**
   * Where a message stands: its revision, sequence number, ULID. It grows with each message. Asked once for a message
   * that is published, and once for each that is replayed.
   */
  readonly cursorOf: (message: Message) => Cursor;
  /**
   * The order of cursors: negative if `a` is before `b`. Default: that of `<`, for bigints, numbers and strings; strings
   * by their code units, so "10" is before "9".
   */
  readonly compare?: Compare<Cursor> | undefined;
  /**
   * Everything after this position will be published here: the last one in the database when the broadcast is made.
   * Then memory is known to reach back so far, and the first subscribers need no replay. Default: it reaches back to
   * the first message published.
   */
  readonly startAfter?: Cursor | undefined;
  /**
   * How many messages are kept in memory for subscribers who come back soon, and for those who still have to read a
   * burst. No fewer than `maxLagMessages` are. Default: 1,000; with tens of thousands the garbage collector has more to do with each message than the encoder.
   */
  readonly history?: number | undefined;
  /**
   * How many messages a subscriber may leave unread before `onLag` applies, counted before its filter. It begins to
   * count once the subscriber has caught up with what it missed. Default: 1,000.
   */
  readonly maxLagMessages?: number | undefined;
  /**
   * What becomes of a subscriber that falls further behind; the others never wait for it.
   *
   * - `disconnect`: it ends with RESOURCE_EXHAUSTED, on which a stream that resumes comes back by itself. Not because
   *   of a burst, which nobody can read in the turn that publishes it: as long as memory has its next message it reads on;
   * - `drop-oldest`: it misses the oldest ones, and is told how many; its client is not. Not for methods with `resume`,
   *   unless the handler fails the stream when `onDropped` was called: the client's position moves on past the gap;
   * - `replay`: it reads what memory has no more out of `replay`, for clients that do not resume by themselves.
   *
   * Default: `disconnect`.
   */
  readonly onLag?: LagPolicy | undefined;
  /**
   * Reads from the database what came after a position, in order: all of it, or a page of it. It is called again after
   * its last message until it has nothing new, or memory has the rest. It must see everything that was published before
   * it is called: read where you write, not from a replica that lags behind. More than that does no harm, nor do
   * messages that stand before the position.
   *
   * What it throws ends the subscription that asked: `fail("OUT_OF_RANGE", …)` if the position is no longer there. Its
   * iterator is returned and `signal` aborts if it is left before its end.
   *
   * Default: none; whoever asks for what memory does not have gets OUT_OF_RANGE.
   */
  readonly replay?: ReplaySource<Message, Cursor> | undefined;
}

/** How many messages are kept, and how many may stay unread, unless said otherwise. */
export const DEFAULT_BROADCAST_MESSAGES = 1_000;

const LAG_POLICIES = ["disconnect", "drop-oldest", "replay"] satisfies LagPolicy[];

const BROADCAST: Readonly<Record<keyof BroadcastOptions<unknown, unknown>, OptionCheck>> = {
  cursorOf: isFunction,
  compare: isFunction,
  startAfter: () => undefined,
  history: (value) => (value === 0 ? undefined : isCount(value)?.replace("of at least 1", "of at least 0")),
  maxLagMessages: isCount,
  onLag: isOneOf(...LAG_POLICIES),
  replay: isFunction,
};

/** Options as they come, of whatever type. */
type Given<Options> = Readonly<Partial<Record<keyof Options, unknown>>>;

/**
 * Checks what a broadcast is made with.
 *
 * @throws TypeError that lists every problem.
 */
export function checkBroadcastOptions(options: Given<BroadcastOptions<unknown, unknown>>): void {
  const given = options ?? {};
  const problems = [
    ...checkOptions(options, BROADCAST),
    ...(given.cursorOf === undefined ? ["cursorOf must be given: it says where a message stands"] : []),
    ...(given.onLag === "replay" && !given.replay ? ['onLag "replay" takes replay'] : []),
    ...(given.startAfter === undefined ? [] : cursorProblems("startAfter", given.startAfter, given.compare)),
  ];
  if (problems.length > 0) throw new TypeError(`createBroadcast: ${problems.join("; ")}`);
}

const SUBSCRIBE: Readonly<Record<keyof SubscribeOptions<unknown, unknown>, OptionCheck>> = {
  after: () => undefined,
  filter: isFunction,
  replay: isFunction,
  signal: (value) => (value instanceof AbortSignal ? undefined : `must be an AbortSignal; it is ${String(value)}`),
  onDropped: isFunction,
};

/**
 * Checks what a subscription is made with.
 *
 * @throws TypeError that lists every problem.
 */
export function checkSubscribeOptions(options: Given<SubscribeOptions<unknown, unknown>>, compare: unknown): void {
  const after = options?.after;
  const problems = [
    ...checkOptions(options, SUBSCRIBE),
    ...(after === undefined ? [] : cursorProblems("after", after, compare)),
  ];
  if (problems.length > 0) throw new TypeError(`subscribe: ${problems.join("; ")}`);
}

/** What keeps a value from being compared by `<`. */
export function cursorProblems(name: string, cursor: unknown, compare: unknown): string[] {
  if (compare !== undefined && cursor !== undefined) return [];
  const isOrdered = ["bigint", "number", "string"].includes(typeof cursor) && !Number.isNaN(cursor);
  return isOrdered ? [] : [`${name} must be a bigint, number or string, or compare be given; it is ${String(cursor)}`];
}
