/** How much is gathered. */
export interface BatchingOptions {
  /** How many make a batch full; at least 2. */
  readonly maxSize: number;
}

/** What gathering stands at. */
export interface BatchingSnapshot {
  /** Batches that are open to whoever comes. */
  readonly open: number;
  /** Who waits in them, all together. */
  readonly gathered: number;
}

/** A place in a batch. */
export interface BatchSeat<Work> {
  readonly work: Work;
  /** The batch was opened for this one: whoever has this seat sees to it that it is sent in time. */
  readonly first: boolean;
  /** With this one the batch is full: it takes no others, and is to be sent at once. */
  readonly full: boolean;
  /**
   * Gives the place up; further calls do nothing. Before the batch is closed, its place is free for another.
   *
   * @returns true if nobody is in the batch any more: it is not to be sent, or to be cancelled.
   */
  leave(): boolean;
  /** The batch is sent, or over: it takes no others. */
  end(): void;
}

/** A batch, and who is in it. */
interface Batch<Work> {
  readonly key: string;
  readonly work: Work;
  size: number;
}

/**
 * Gathers what comes into batches, by key: those of one key share a batch until it is full or closed (DataLoader's
 * batches, without its cache). It neither waits nor sends: that is for whoever has a seat.
 */
export class Batching<Work> {
  readonly #maxSize: number;
  readonly #open = new Map<string, Batch<Work>>();

  constructor({ maxSize }: BatchingOptions) {
    this.#maxSize = maxSize;
  }

  /** @param make makes the work of a batch if none of this key is open. */
  join(key: string, make: () => Work): BatchSeat<Work> {
    const known = this.#open.get(key);
    const batch = known ?? { key, work: make(), size: 0 };
    if (!known) this.#open.set(key, batch);
    batch.size += 1;
    const full = batch.size >= this.#maxSize;
    if (full) this.#close(batch);
    let seated = true;
    return {
      work: batch.work,
      first: known === undefined,
      full,
      leave: () => {
        if (!seated) return false;
        seated = false;
        batch.size -= 1;
        if (batch.size === 0) this.#close(batch);
        return batch.size === 0;
      },
      end: () => this.#close(batch),
    };
  }

  snapshot(): BatchingSnapshot {
    let gathered = 0;
    for (const { size } of this.#open.values()) gathered += size;
    return { open: this.#open.size, gathered };
  }

  /** The work of all batches that are open. */
  open(): Work[] {
    return [...this.#open.values()].map(({ work }) => work);
  }

  #close(batch: Batch<Work>): void {
    if (this.#open.get(batch.key) === batch) this.#open.delete(batch.key);
  }
}
