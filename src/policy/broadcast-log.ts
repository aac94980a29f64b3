/** Says where `a` stands to `b`: negative before it, positive after it, zero at the same place. */
export type Compare<Cursor> = (a: Cursor, b: Cursor) => number;

/** A published message, and where it stands. */
export interface LogEntry<Message, Cursor> {
  readonly message: Message;
  readonly cursor: Cursor;
}

/**
 * The last messages of a broadcast, for all of its subscribers together: a subscriber is a position in it and has no
 * queue of its own, so that a thousand of them cost a thousand positions.
 *
 * Positions count what was ever appended, from zero. Those from `first` up to `end` are kept; what is appended to a
 * full log takes the place of the oldest.
 */
export class BroadcastLog<Message, Cursor> {
  readonly #capacity: number;
  readonly #compare: Compare<Cursor>;
  /** A ring: position p is at p modulo the capacity. */
  readonly #entries: LogEntry<Message, Cursor>[] = [];
  #end = 0;
  #lastCursor: Cursor | undefined;
  /** Everything after it is kept. Undefined while nobody can know: nothing was appended, and no start was given. */
  #floor: Cursor | undefined;

  /** @param startAfter everything after it will be appended. Unless it is given, that holds from the first one on. */
  constructor(capacity: number, compare: Compare<Cursor>, startAfter: Cursor | undefined) {
    this.#capacity = capacity;
    this.#compare = compare;
    this.#floor = startAfter;
    this.#lastCursor = startAfter;
  }

  /** The oldest position that is kept. */
  get first(): number {
    return Math.max(0, this.#end - this.#capacity);
  }

  /** The position that the next message will have. */
  get end(): number {
    return this.#end;
  }

  /** Where the last message stands; before the first one, where the log was said to start. */
  get lastCursor(): Cursor | undefined {
    return this.#lastCursor;
  }

  /**
   * Takes a message, unless it was there before: false then, and also if it stands before all that is kept, where
   * nobody can tell any more.
   *
   * @throws RangeError if it stands between messages that are there, and is none of them: whoever reads has passed it.
   */
  append(message: Message, cursor: Cursor): boolean {
    if (this.#lastCursor !== undefined && this.#compare(cursor, this.#lastCursor) <= 0) {
      this.#checkRepeated(cursor);
      return false;
    }
    this.#floor = this.#end < this.#capacity ? (this.#floor ?? cursor) : this.at(this.first).cursor;
    this.#entries[this.#end % this.#capacity] = { message, cursor };
    this.#end += 1;
    this.#lastCursor = cursor;
    return true;
  }

  /** The message at a position from `first` up to `end`. @throws RangeError for any other. */
  at(position: number): LogEntry<Message, Cursor> {
    const entry = position < this.first ? undefined : this.#entries[position % this.#capacity];
    if (!entry || position >= this.#end) throw new RangeError(`the log has no position ${position}`);
    return entry;
  }

  /** The position of the first message after a cursor; undefined if the log does not reach back that far. */
  positionAfter(cursor: Cursor): number | undefined {
    if (this.#floor === undefined || this.#compare(cursor, this.#floor) < 0) return undefined;
    let [low, high] = [this.first, this.#end];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#compare(this.at(middle).cursor, cursor) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #checkRepeated(cursor: Cursor): void {
    const position = this.positionAfter(cursor);
    if (position === undefined || this.#isAt(this.#floor, cursor)) return;
    if (position > this.first && this.#isAt(this.at(position - 1).cursor, cursor)) return;
    const last = String(this.#lastCursor);
    throw new RangeError(`published out of order: ${String(cursor)} after ${last}; subscribers have passed it already`);
  }

  #isAt(known: Cursor | undefined, cursor: Cursor): boolean {
    return known !== undefined && this.#compare(known, cursor) === 0;
  }
}
