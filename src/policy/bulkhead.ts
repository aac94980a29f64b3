import type { AdaptiveLimit, LimitPermit } from "./adaptive-limit.ts";

/** How many calls may be under way, and how many may wait. */
export interface BulkheadOptions {
  /** How many may be under way at a time. */
  readonly maxConcurrent: number;
  /** How many may wait for their turn. */
  readonly maxQueued: number;
}

/** Leave to make one attempt. */
export interface BulkheadPermit {
  readonly granted: true;
  /** Leave of the target's limit, if there is one: to be given its outcome before `release`. */
  readonly limit: LimitPermit | undefined;
  /** Gives it back, to whoever has waited longest. Once; further calls do nothing. */
  release(): void;
}

/** A place in the queue. */
export interface BulkheadPlace {
  readonly granted: false;
  readonly queued: true;
  /** Says who is given the permit when the turn comes; to be said at once. */
  onTurn(callback: (permit: BulkheadPermit) => void): void;
  /** Leaves the queue. @returns false if the turn has come, or it has left before. */
  leave(): boolean;
}

/** Neither leave nor a place. */
export interface BulkheadRejection {
  readonly granted: false;
  readonly queued: false;
  /** What has no room: this bulkhead, or the target's limit. */
  readonly full: "bulkhead" | "limit";
}

/** What a bulkhead stands at. */
export interface BulkheadSnapshot {
  readonly underWay: number;
  readonly queued: number;
}

let release: (bulkhead: Bulkhead) => void;
let leave: (bulkhead: Bulkhead, place: Place) => boolean;

class Permit implements BulkheadPermit {
  readonly granted = true;
  readonly limit: LimitPermit | undefined;
  readonly #bulkhead: Bulkhead;
  #released = false;

  constructor(bulkhead: Bulkhead, limit: LimitPermit | undefined) {
    this.#bulkhead = bulkhead;
    this.limit = limit;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.limit?.ignore();
    release(this.#bulkhead);
  }
}

class Place implements BulkheadPlace {
  readonly granted = false;
  readonly queued = true;
  readonly #bulkhead: Bulkhead;
  #callback: ((permit: BulkheadPermit) => void) | undefined;

  constructor(bulkhead: Bulkhead) {
    this.#bulkhead = bulkhead;
  }

  onTurn(callback: (permit: BulkheadPermit) => void): void {
    this.#callback = callback;
  }

  grant(permit: BulkheadPermit): void {
    this.#callback?.(permit);
  }

  leave(): boolean {
    return leave(this.#bulkhead, this);
  }
}

/**
 * A bound on calls that are under way, with a bounded queue in the order of arrival. A permit that is given back goes to
 * the first in the queue at once: whoever comes meanwhile stands behind.
 *
 * Where the target has a limit that follows its latency, a call needs room in both, and waits in this queue for both:
 * asked one after the other, a limit that falls would turn away at once all that have waited for the bulkhead.
 * Bulkheads that wait for the limit take turns.
 */
export class Bulkhead {
  #options: BulkheadOptions;
  #limit: AdaptiveLimit | undefined;
  /** In the order of their arrival. */
  readonly #queue = new Set<Place>();
  #underWay = 0;
  /** The limit that is going to say when it has room. */
  #awaited: AdaptiveLimit | undefined;

  static {
    release = (bulkhead) => bulkhead.#release();
    leave = (bulkhead, place) => bulkhead.#queue.delete(place);
  }

  /** @param limit of the target; undefined if it has none. */
  constructor(options: BulkheadOptions, limit?: AdaptiveLimit) {
    this.#options = options;
    this.#limit = limit;
  }

  /** Leave to make an attempt now, a place in the queue, or the reason why there is neither. */
  tryAcquire(): BulkheadPermit | BulkheadPlace | BulkheadRejection {
    const permit = this.#queue.size === 0 ? this.#take() : undefined;
    if (permit) return permit;
    if (this.#queue.size >= this.#options.maxQueued) {
      return { granted: false, queued: false, full: this.#hasRoom ? "limit" : "bulkhead" };
    }
    const place = new Place(this);
    this.#queue.add(place);
    this.#awaitRoom();
    return place;
  }

  snapshot(): BulkheadSnapshot {
    return { underWay: this.#underWay, queued: this.#queue.size };
  }

  /**
   * Goes by other options from here on. What is under way goes on and counts, though it may be more than may begin now;
   * what waits keeps its place, until `admit`: other bounds of the same calls may have to change first.
   *
   * @param limit of the target; undefined if it has none.
   */
  adjust(options: BulkheadOptions, limit?: AdaptiveLimit): void {
    this.#options = options;
    this.#limit = limit;
  }

  /** Lets in, in their order, as many of those that wait as there is room for. */
  admit(): void {
    while (this.#admitFirst());
    this.#awaitRoom();
  }

  get #hasRoom(): boolean {
    return this.#underWay < this.#options.maxConcurrent;
  }

  #take(): Permit | undefined {
    if (!this.#hasRoom) return undefined;
    const limit = this.#limit?.tryAcquire();
    if (this.#limit && !limit) return undefined;
    this.#underWay += 1;
    return new Permit(this, limit);
  }

  #release(): void {
    this.#underWay -= 1;
    this.admit();
  }

  /** @returns false if nobody waits, or there is no room. */
  #admitFirst(): boolean {
    const [first] = this.#queue;
    const permit = first && this.#take();
    if (!permit) return false;
    this.#queue.delete(first);
    first.grant(permit);
    return true;
  }

  #awaitRoom(): void {
    if (!this.#limit || this.#awaited === this.#limit || this.#queue.size === 0 || !this.#hasRoom) return;
    this.#awaited = this.#limit;
    this.#limit.whenRoom(this.#onRoom);
  }

  /** One at a time: other bulkheads may wait for the limit too. */
  readonly #onRoom = (): void => {
    this.#awaited = undefined;
    this.#admitFirst();
    this.#awaitRoom();
  };
}
