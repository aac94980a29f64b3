import { CRITICALITIES, type Criticality } from "../core/criticality.ts";

/** What waits for its turn. */
export interface Waiting {
  readonly criticality: Criticality;
  /** When it must be over, on the monotonic clock. */
  readonly deadlineAt: number;
}

/**
 * Calls that wait: the most critical first, of those the one with the nearest deadline, of those the one that came
 * first.
 */
export class ShedQueue<T extends Waiting> {
  /** By criticality, from the least; each in the order of their deadlines. */
  readonly #levels: readonly T[][] = CRITICALITIES.map(() => []);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(one: T): void {
    const level = this.#levelOf(one);
    const at = firstAfter(level, one.deadlineAt);
    level.splice(at, 0, one);
    this.#size += 1;
  }

  /** @returns false if it does not wait here. */
  remove(one: T): boolean {
    const level = this.#levelOf(one);
    const at = level.indexOf(one);
    if (at < 0) return false;
    level.splice(at, 1);
    this.#size -= 1;
    return true;
  }

  /** Takes out whose turn it is. */
  takeFirst(): T | undefined {
    return this.#taken(this.#levels.findLast((level) => level.length > 0)?.shift());
  }

  /** Takes out one that matters less than this: the least critical, of those the one with the farthest deadline. */
  takeBelow(criticality: Criticality): T | undefined {
    const below = this.#levels.slice(0, CRITICALITIES.indexOf(criticality));
    return this.#taken(below.find((level) => level.length > 0)?.pop());
  }

  /** Takes out all whose deadline has passed. */
  takeExpired(now: number): T[] {
    const expired = this.#levels.flatMap((level) => level.splice(0, firstAfter(level, now)));
    this.#size -= expired.length;
    return expired;
  }

  /** Whether one would leave for a call of this criticality: it matters less, or its deadline has passed. */
  yields(criticality: Criticality, now: number): boolean {
    const rank = CRITICALITIES.indexOf(criticality);
    return this.#levels.some(([next], level) => next !== undefined && (level < rank || next.deadlineAt <= now));
  }

  #taken(one: T | undefined): T | undefined {
    if (one) this.#size -= 1;
    return one;
  }

  #levelOf({ criticality }: Waiting): T[] {
    return this.#levels[CRITICALITIES.indexOf(criticality)] ?? [];
  }
}

/** Where the first stands whose deadline is later. */
function firstAfter(level: readonly Waiting[], deadlineAt: number): number {
  let [low, high] = [0, level.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((level[middle]?.deadlineAt ?? 0) <= deadlineAt) low = middle + 1;
    else high = middle;
  }
  return low;
}
