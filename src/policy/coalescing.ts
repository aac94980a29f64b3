/** What coalescing stands at. */
export interface CoalescingSnapshot {
  /** Pieces of work under way. */
  readonly underWay: number;
  /** Who waits for them, all together. */
  readonly waiting: number;
}

/** A waiter's seat at a piece of work that others may wait for too. */
export interface Seat<Work> {
  readonly work: Work;
  /** Nobody has begun the work: whoever has this seat does. */
  readonly first: boolean;
  /**
   * Gives the seat up; further calls do nothing.
   *
   * @returns true if nobody waits any more: the work is to be cancelled. Who comes now begins anew.
   */
  leave(): boolean;
  /** The work is over, and its waiters are answered: who comes now begins anew. */
  end(): void;
}

/** Work under way, and how many wait for it. */
interface Shared<Work> {
  readonly key: string;
  readonly work: Work;
  waiting: number;
}

/**
 * Equal work is done once for all who ask for it while it is under way ("singleflight"). Nothing is kept: what is over
 * is forgotten, whatever it ended with. And it is given up only when everybody has left.
 */
export class Coalescing<Work> {
  readonly #shared = new Map<string, Shared<Work>>();

  /** @param make makes the work if none of this key is under way; begins nothing yet. */
  join(key: string, make: () => Work): Seat<Work> {
    const known = this.#shared.get(key);
    const shared = known ?? { key, work: make(), waiting: 0 };
    if (!known) this.#shared.set(key, shared);
    shared.waiting += 1;
    let seated = true;
    return {
      work: shared.work,
      first: known === undefined,
      leave: () => {
        if (!seated) return false;
        seated = false;
        return this.#leave(shared);
      },
      end: () => this.#end(shared),
    };
  }

  snapshot(): CoalescingSnapshot {
    let waiting = 0;
    for (const shared of this.#shared.values()) waiting += shared.waiting;
    return { underWay: this.#shared.size, waiting };
  }

  #leave(shared: Shared<Work>): boolean {
    // What is over has nobody to be cancelled for.
    if (this.#shared.get(shared.key) !== shared) return false;
    shared.waiting -= 1;
    if (shared.waiting > 0) return false;
    this.#shared.delete(shared.key);
    return true;
  }

  #end(shared: Shared<Work>): void {
    if (this.#shared.get(shared.key) === shared) this.#shared.delete(shared.key);
  }
}
