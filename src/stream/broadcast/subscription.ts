import type { ReplaySource } from "./replay.ts";

/** What a subscriber wants. */
export interface SubscribeOptions<Message, Cursor> {
  /**
   * The position after which to begin. What was published since comes first: out of memory, or if that does not reach
   * back far enough, out of `replay`; then what is published from now on. Default: only that.
   *
   * A request that names no position has 0 or an empty text in its field, which is a cursor as any other and asks for
   * everything: right for a method with `from_start`; one that begins now passes `afterRevision || undefined`.
   */
  readonly after?: Cursor | undefined;
  /**
   * Whether a message is wanted. It is asked when the message is published or read, once for each; what it throws ends
   * this subscription. It holds for replayed messages too. Default: all are.
   */
  readonly filter?: ((message: Message) => boolean) | undefined;
  /**
   * A replay of its own: one that knows its filter, and reads only what passes it, with an index. Default: the
   * broadcast's.
   */
  readonly replay?: ReplaySource<Message, Cursor> | undefined;
  /** Ends the subscription at once: `next()` rejects with its reason. Default: nothing but `return()` does. */
  readonly signal?: AbortSignal | undefined;
  /**
   * With `onLag: "drop-oldest"`: is told how many messages were passed over unread, before the message that comes after
   * them. They are counted before the filter. What it throws becomes a process warning: to end the stream, let the
   * handler `fail` before it yields that message.
   */
  readonly onDropped?: ((count: number) => void) | undefined;
}

/**
 * The messages that one subscriber gets: each one after its cursor that it wants, in order, once. It can be read once;
 * a handler yields from it, or returns it.
 *
 * Calls of `next()` before the last one has settled are answered in their order. Nothing is held for a subscription
 * before its first `next()`; but its place is that of `subscribe`.
 */
export interface Subscription<Message, Cursor> {
  /**
   * Where it stands: everything up to there that is wanted has been handed out. At first it is `after`, or the last
   * message published; then it moves on with each message that was read, or looked at and not wanted. Undefined as long
   * as nobody can know: nothing was published, and the broadcast was not told `startAfter`.
   *
   * What was handed out need not have been yielded yet, so that a heartbeat with this position may overtake a message,
   * and its client would go on after one that it never had. For clients with a narrow filter, let every hundredth of
   * the other messages through and yield a heartbeat in its place.
   */
  readonly cursor: Cursor | undefined;
  /**
   * The next message; done once the broadcast is closed.
   *
   * @throws RpcError with reason `SLOW_SUBSCRIBER` if it fell too far behind; with OUT_OF_RANGE if what comes after its
   * cursor is no longer kept; the signal's reason; what replay and filter throw; what the broadcast was closed with.
   */
  next(): Promise<IteratorResult<Message, undefined>>;
  /** Leaves: a pending `next()` resolves as done, and a replay under way is left. */
  return(): Promise<IteratorResult<Message, undefined>>;
  [Symbol.asyncIterator](): Subscription<Message, Cursor>;
  [Symbol.asyncDispose](): Promise<void>;
}
