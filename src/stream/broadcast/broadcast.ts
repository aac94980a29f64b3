import { shareEncoding } from "../../core/shared-encoding.ts";
import { BroadcastLog, type Compare } from "../../policy/broadcast-log.ts";
import {
  type BroadcastOptions,
  checkBroadcastOptions,
  checkSubscribeOptions,
  cursorProblems,
  DEFAULT_BROADCAST_MESSAGES,
} from "./broadcast-options.ts";
import { type Hub, Subscriber } from "./subscriber.ts";
import type { SubscribeOptions, Subscription } from "./subscription.ts";

/** What a broadcast has come to. */
export interface BroadcastStats {
  /** Subscriptions that are read, from their first `next()` to their end. */
  readonly subscribers: number;
  /** Those of them that read from `replay`. */
  readonly replaying: number;
  /** Messages published so far. */
  readonly published: number;
  /** Messages that were not taken because they had been published before, or stood before what memory reached back to. */
  readonly repeated: number;
  /** Messages passed over unread, of all subscribers together. */
  readonly dropped: number;
  /** Subscriptions that ended because they fell too far behind. */
  readonly disconnected: number;
  /** Messages in memory. */
  readonly held: number;
  /** How many messages the furthest behind has unread, of those that do not replay. */
  readonly lag: number;
}

/** One source of messages for many streams. */
export interface Broadcast<Message, Cursor> {
  /**
   * Hands a message to all subscribers. It is synchronous, takes time for those only who wait for a message, and throws
   * nothing of theirs. Publish what is committed, all of it, in the order of its cursors; and do not change it any more:
   * it is encoded once for all. Nobody reads until the publisher gives the event loop a turn: do so at least every
   * `history` messages, or whoever reads is passed.
   *
   * @returns whether it was taken: not if it was published before, so that a source may repeat itself; and not after
   * `close`.
   * @throws RangeError if its cursor stands before one that was published, and was not published itself: subscribers
   * have passed that place. Only as far as memory reaches back: before that, nobody can tell it from a repetition. TypeError if its cursor cannot be compared. What `cursorOf` throws.
   */
  publish(message: Message): boolean;
  /** A stream of messages for one subscriber. @throws TypeError that lists all that is wrong with the options. */
  subscribe(options?: SubscribeOptions<Message, Cursor>): Subscription<Message, Cursor>;
  /**
   * Takes no more messages; each subscription ends when it has read what there is, with `error` if one is given. Only
   * the first time counts.
   *
   * Without an error its streams end with OK, and clients that resume do not come back: they were told everything. So
   * drain the server first, which ends its streams by itself; or give an error with code UNAVAILABLE.
   */
  close(error?: unknown): void;
  /** What it has come to. It looks at every subscriber. */
  stats(): BroadcastStats;
}

/**
 * Makes a broadcast: one source feeds any number of streams, each with a place and a filter of its own.
 *
 * A subscriber that names a cursor first gets what it missed, and then what is published, without a gap and nothing
 * twice, if the application keeps to one order: commit, then publish. Memory holds the last `history` or
 * `maxLagMessages` messages, whichever is more, whatever subscribers do. A message is encoded once for all streams of
 * `createServer`.
 *
 * ```ts
 * const orderEvents = createBroadcast({
 *   cursorOf: (event: OrderEvent) => event.revision,
 *   replay: (revision) => store.eventsAfter(revision),
 * });
 * orderEvents.publish(event); // once it is committed
 *
 * // with from_start, as 0 asks for everything; otherwise `after: afterRevision || undefined`
 * watchOrders: ({ afterRevision }, { signal }) => orderEvents.subscribe({ after: afterRevision, signal }),
 * ```
 *
 * @throws TypeError that lists all that is wrong with the options.
 */
export function createBroadcast<Message, Cursor>(
  options: BroadcastOptions<Message, Cursor>,
): Broadcast<Message, Cursor> {
  checkBroadcastOptions(options);
  return new LogBroadcast(options);
}

class LogBroadcast<Message, Cursor> implements Broadcast<Message, Cursor> {
  readonly #compare: Compare<Cursor> | undefined;
  readonly #cursorOf: (message: Message) => Cursor;
  readonly #hub: Hub<Message, Cursor>;
  #repeated = 0;

  constructor(options: BroadcastOptions<Message, Cursor>) {
    const { compare = byOrder, startAfter, replay, onLag = "disconnect" } = options;
    const { history = DEFAULT_BROADCAST_MESSAGES, maxLagMessages = DEFAULT_BROADCAST_MESSAGES } = options;
    this.#compare = options.compare;
    this.#cursorOf = checked(options);
    const rules = { compare, cursorOf: this.#cursorOf, maxLagMessages, onLag };
    const log = new BroadcastLog<Message, Cursor>(Math.max(history, maxLagMessages), compare, startAfter);
    const counts = { dropped: 0, disconnected: 0 };
    this.#hub = { log, rules, replay, subscribers: new Set(), waiting: new Set(), closed: undefined, counts };
  }

  publish(message: Message): boolean {
    const { log, waiting, closed } = this.#hub;
    if (closed) return false;
    if (!log.append(message, this.#cursorOf(message))) {
      this.#repeated += 1;
      return false;
    }
    shareEncoding(message);
    for (const subscriber of waiting) subscriber.wake();
    return true;
  }

  subscribe(options: SubscribeOptions<Message, Cursor> = {}): Subscription<Message, Cursor> {
    checkSubscribeOptions(options, this.#compare);
    return new Subscriber(this.#hub, options);
  }

  close(error?: unknown): void {
    if (this.#hub.closed) return;
    this.#hub.closed = { error };
    for (const subscriber of this.#hub.waiting) subscriber.wake();
  }

  stats(): BroadcastStats {
    const { log, counts } = this.#hub;
    const subscribers = [...this.#hub.subscribers];
    return {
      subscribers: subscribers.length,
      replaying: subscribers.filter(({ isReplaying }) => isReplaying).length,
      published: log.end,
      repeated: this.#repeated,
      ...counts,
      held: log.end - log.first,
      lag: subscribers.reduce((most, { lag }) => Math.max(most, lag), 0),
    };
  }
}

function byOrder<Cursor>(a: Cursor, b: Cursor): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}

/** `cursorOf`, which throws if what it says cannot be compared. */
function checked<Message, Cursor>(options: BroadcastOptions<Message, Cursor>): (message: Message) => Cursor {
  const { cursorOf, compare } = options;
  return (message) => {
    const cursor = cursorOf(message);
    // What most cursors are, so that they cost one look.
    if (typeof cursor === "bigint") return cursor;
    const [problem] = cursorProblems("what cursorOf returns", cursor, compare);
    if (problem) throw new TypeError(problem);
    return cursor;
  };
}
