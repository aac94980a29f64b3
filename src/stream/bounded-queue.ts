/**
 * What becomes of a message that does not fit:
 *
 * - `block`: it never comes, because the source is not read while there is no room: nothing is lost;
 * - `drop-oldest`: as many of the oldest are dropped as it takes;
 * - `drop-newest`: it is dropped;
 * - `latest-by-key`: of each key only the newest message is kept, at the place of the one that it replaces, so that a
 *   busy key neither waits longer nor crowds out the others; if there are too many keys, the oldest is dropped;
 * - `error`: the buffer ends with it.
 */
export type Overflow = "block" | "drop-oldest" | "drop-newest" | "latest-by-key" | "error";

/** How much a queue holds. */
export interface QueueRules {
  readonly maxMessages: number;
  /** Infinity for no bound. */
  readonly maxBytes: number;
  readonly overflow: Overflow;
}

/** What came of a message. */
export interface Offer<Message> {
  /** Only with `error`: it did not fit. */
  readonly overflowed: boolean;
  /** What was dropped for it; it may be itself. */
  readonly dropped: readonly Message[];
}

/** A place in the queue. */
interface Place<Message> {
  message: Message;
  size: number;
  readonly key: unknown;
}

const KEPT: Offer<never> = { overflowed: false, dropped: [] };
const OVERFLOWED: Offer<never> = { overflowed: true, dropped: [] };

/**
 * Messages that wait to be read, within bounds. An empty queue takes any message: one that is larger than `maxBytes`
 * would never fit otherwise. With `block` the last message may exceed `maxBytes`: its size was not known before it came.
 */
export class BoundedQueue<Message> {
  readonly #rules: QueueRules;
  #places: (Place<Message> | undefined)[] = [];
  /** Where the oldest is. An array's own `shift` moves all that is behind it, once there are many. */
  #head = 0;
  /** Only with `latest-by-key`. */
  readonly #byKey = new Map<unknown, Place<Message>>();
  #bytes = 0;

  constructor(rules: QueueRules) {
    this.#rules = rules;
  }

  /** How many messages it holds. */
  get messages(): number {
    return this.#places.length - this.#head;
  }

  /** How many bytes they have. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the source may be read: always, unless it is to be blocked. */
  get hasRoom(): boolean {
    const { overflow, maxMessages, maxBytes } = this.#rules;
    return overflow !== "block" || (this.messages < maxMessages && this.#bytes < maxBytes);
  }

  /** Takes a message in, or not. @param size in bytes. @param key with `latest-by-key`. */
  offer(message: Message, size: number, key?: unknown): Offer<Message> {
    const { overflow } = this.#rules;
    const older = overflow === "latest-by-key" ? this.#byKey.get(key) : undefined;
    if (older) return this.#replace(older, message, size);
    const fits = this.#fits(size);
    if (!fits && overflow === "error") return OVERFLOWED;
    if (!fits && overflow === "drop-newest") return { overflowed: false, dropped: [message] };
    const dropped = fits || overflow === "block" ? undefined : this.#makeRoom(size);
    this.#add({ message, size, key });
    return dropped ? { overflowed: false, dropped } : KEPT;
  }

  /** Takes out the oldest message. Only for a queue that holds one. */
  take(): Message {
    return this.#shift().message;
  }

  /** Forgets everything. */
  clear(): void {
    this.#places = [];
    this.#head = 0;
    this.#byKey.clear();
    this.#bytes = 0;
  }

  #fits(size: number): boolean {
    const { maxMessages, maxBytes } = this.#rules;
    return this.messages === 0 || (this.messages < maxMessages && this.#bytes + size <= maxBytes);
  }

  #makeRoom(size: number): Message[] {
    const dropped: Message[] = [];
    while (!this.#fits(size)) dropped.push(this.#shift().message);
    return dropped;
  }

  #add(place: Place<Message>): void {
    this.#places.push(place);
    if (this.#rules.overflow === "latest-by-key") this.#byKey.set(place.key, place);
    this.#bytes += place.size;
  }

  /** The newer message may be larger; then others make room for it. */
  #replace(place: Place<Message>, message: Message, size: number): Offer<Message> {
    const dropped = [place.message];
    this.#bytes += size - place.size;
    place.message = message;
    place.size = size;
    while (this.messages > 1 && this.#bytes > this.#rules.maxBytes) dropped.push(this.#shiftOther(place).message);
    return { overflowed: false, dropped };
  }

  /** Takes out the oldest that is not this one. */
  #shiftOther(place: Place<Message>): Place<Message> {
    if (this.#places[this.#head] === place) {
      this.#places[this.#head] = this.#places[this.#head + 1];
      this.#places[this.#head + 1] = place;
    }
    return this.#shift();
  }

  #shift(): Place<Message> {
    const place = this.#places[this.#head];
    if (!place) throw new RangeError("an empty queue has no oldest message");
    this.#places[this.#head] = undefined;
    this.#head += 1;
    if (this.#head * 2 > this.#places.length) {
      this.#places = this.#places.slice(this.#head);
      this.#head = 0;
    }
    this.#bytes -= place.size;
    if (this.#rules.overflow === "latest-by-key") this.#byKey.delete(place.key);
    return place;
  }
}
