import type { BroadcastLog, Compare, LogEntry } from "./broadcast-log.ts";

/** What is done about a subscriber that has more unread messages than it may have. */
export type LagPolicy = "disconnect" | "drop-oldest" | "replay";

/** What all readers of a log have in common. */
export interface ReaderRules<Message, Cursor> {
  readonly compare: Compare<Cursor>;
  readonly cursorOf: (message: Message) => Cursor;
  /**
   * Unread messages, at most the log's capacity, that are no lag. With more, `drop-oldest` applies at once; the others do
   * when the log does not have the next one any more.
   */
  readonly maxLagMessages: number;
  readonly onLag: LagPolicy;
}

/** What one reader is after. */
export interface ReaderWish<Message, Cursor> {
  /** Everything after it. Undefined: everything from now on. */
  readonly after: Cursor | undefined;
  readonly filter: ((message: Message) => boolean) | undefined;
  /** Whether what the log has no more can be had elsewhere. */
  readonly canReplay: boolean;
  /** Is told how many messages were passed over unread. */
  readonly onDropped: (count: number) => void;
}

/**
 * What a reader comes to next: a message; or that it has read everything (`wait`), needs a replay (`replay`), has
 * fallen too far behind (`slow`), or asks for what is gone (`expired`).
 */
export type ReaderStep<Message, Cursor> = LogEntry<Message, Cursor> | "wait" | "replay" | "slow" | "expired";

/**
 * One subscriber's way through a broadcast: out of a replay into the log and along it, each message after its cursor
 * once and in order.
 *
 * The switch rests on one thing: a message is published after it can be replayed. So a replay has everything that was
 * published before it began, and what is published later is in the log, from where the log stood then. As soon as the
 * log reaches back to what was replayed last, it has the rest. If it never does, because the log moved on faster,
 * there is another replay from there: nothing is set aside meanwhile, as with etcd's unsynced watchers. What both have
 * is told apart by its cursor.
 */
export class BroadcastReader<Message, Cursor> {
  readonly #log: BroadcastLog<Message, Cursor>;
  readonly #rules: ReaderRules<Message, Cursor>;
  readonly #wish: ReaderWish<Message, Cursor>;
  /** Everything up to it that is wanted was handed out. */
  #cursor: Cursor | undefined;
  /** The next to read in the log; undefined: a replay comes first. */
  #position: number | undefined;
  /** It has caught up once. Until then it reads history, and that is no lag. */
  #live: boolean;
  #replay: ReplayUnderWay<Cursor> | undefined;

  constructor(
    log: BroadcastLog<Message, Cursor>,
    rules: ReaderRules<Message, Cursor>,
    wish: ReaderWish<Message, Cursor>,
  ) {
    this.#log = log;
    this.#rules = rules;
    this.#wish = wish;
    this.#live = wish.after === undefined;
    this.#cursor = wish.after ?? log.lastCursor;
    this.#position = wish.after === undefined ? log.end : log.positionAfter(wish.after);
  }

  /** Where it stands: it has had everything up to there that it wants. Undefined while nobody can know. */
  get cursor(): Cursor | undefined {
    return this.#cursor;
  }

  /** How many messages of the log it has not looked at; those of a replay are not counted. */
  get lag(): number {
    return this.#position === undefined ? 0 : this.#log.end - this.#position;
  }

  /** Whether a replay comes before anything else. */
  get mustReplay(): boolean {
    return this.#position === undefined;
  }

  /** Goes on to the next message that is wanted. @throws what the filter throws. */
  next(): ReaderStep<Message, Cursor> {
    const late = this.#fallenBehind();
    if (late) return late;
    while (this.#position !== undefined && this.#position < this.#log.end) {
      const entry = this.#log.at(this.#position);
      // Before the filter, which may publish, or read on.
      this.#position += 1;
      if (this.#advance(entry.cursor) && this.#wants(entry.message)) return entry;
    }
    return "wait";
  }

  /** A replay begins. @returns the cursor after which it is to begin. */
  beginReplay(): Cursor | undefined {
    this.#replay = { end: this.#log.end, published: this.#log.lastCursor, last: undefined, advanced: false };
    return this.#cursor;
  }

  /**
   * The replay came to a message. If `mustReplay` is false then, the log has the rest.
   *
   * @returns whether it is wanted.
   * @throws RangeError if it stands before the last one; and what `cursorOf` and the filter throw.
   */
  replayed(message: Message): boolean {
    const replay = this.#replay;
    const cursor = this.#rules.cursorOf(message);
    if (!replay) throw new Error("no replay is under way");
    if (replay.last !== undefined && this.#rules.compare(cursor, replay.last) < 0)
      throw new RangeError(`the replay is out of order: ${String(cursor)} after ${String(replay.last)}`);
    replay.last = cursor;
    if (!this.#advance(cursor)) return false;
    replay.advanced = true;
    this.#position = this.#log.positionAfter(cursor);
    return this.#wants(message);
  }

  /**
   * The replay came to its end. It may have been a page of what there is, so only one that had nothing new is the
   * last: then everything that was published before it began was had.
   */
  endReplay(): void {
    const replay = this.#replay;
    this.#replay = undefined;
    if (!replay || replay.advanced) return;
    if (replay.published !== undefined) this.#advance(replay.published);
    // If the log has moved past it, the next step finds out.
    this.#position = replay.end;
  }

  #fallenBehind(): "replay" | "slow" | "expired" | undefined {
    const { maxLagMessages, onLag } = this.#rules;
    const { canReplay } = this.#wish;
    if (this.#position === undefined) return canReplay ? "replay" : "expired";
    if (this.lag <= maxLagMessages) {
      this.#live = true;
      return undefined;
    }
    const policy = !this.#live && canReplay ? "replay" : onLag;
    const isGone = this.#position < this.#log.first;
    if (policy === "replay" && this.#cursor !== undefined) return isGone ? this.#readAgain() : undefined;
    if (!this.#live && !isGone) return undefined;
    // More than that may come before anybody has a turn to read: nobody is slow who can still read on.
    if (policy !== "drop-oldest") return isGone ? "slow" : undefined;
    this.#drop(this.#log.end - maxLagMessages);
    return undefined;
  }

  #readAgain(): "replay" {
    this.#position = undefined;
    return "replay";
  }

  #drop(to: number): void {
    const count = to - (this.#position ?? to);
    this.#position = to;
    this.#wish.onDropped(count);
  }

  /** Moves the cursor on. @returns false if it stood there already, or further. */
  #advance(cursor: Cursor): boolean {
    if (this.#cursor !== undefined && this.#rules.compare(cursor, this.#cursor) <= 0) return false;
    this.#cursor = cursor;
    return true;
  }

  #wants(message: Message): boolean {
    return !this.#wish.filter || this.#wish.filter(message);
  }
}

/** What is known of a replay. */
interface ReplayUnderWay<Cursor> {
  /** Where the log ended when it began. */
  readonly end: number;
  /** What had been published last when it began. */
  readonly published: Cursor | undefined;
  /** The last message that it came to. */
  last: Cursor | undefined;
  /** Whether it came to something new. */
  advanced: boolean;
}
