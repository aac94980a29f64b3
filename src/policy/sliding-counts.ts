/** How many slices a window has: what is counted leaves it a tenth at a time. */
const SLICES = 10;

/**
 * Counts things over a sliding window of time, in ten slices. What has left the window never counts again, however
 * long nothing came (rule B2); time that goes backwards is taken as standing still.
 */
export class SlidingCounts {
  readonly #sliceMs: number;
  readonly #kinds: number;
  /** One row of counts for each slice. */
  readonly #slices: Float64Array;
  readonly #totals: Float64Array;
  /** The slice that time stands in, counted from the clock's start. */
  #current = Number.NEGATIVE_INFINITY;
  /** When it ends: until then nothing leaves the window. */
  #currentEndsAt = Number.NEGATIVE_INFINITY;
  /** Where its row begins. */
  #currentRow = 0;

  /** @param kinds how many things are counted, each under its index. */
  constructor(windowMs: number, kinds: number) {
    this.#sliceMs = windowMs / SLICES;
    this.#kinds = kinds;
    this.#slices = new Float64Array(SLICES * kinds);
    this.#totals = new Float64Array(kinds);
  }

  /** Lets go of what has left the window by now. Before `add` and `total`. */
  advance(now: number): void {
    if (now < this.#currentEndsAt) return;
    const slice = this.#sliceAt(now);
    if (slice === this.#current) return;
    const fresh = slice - this.#current;
    if (fresh >= SLICES) this.reset();
    else for (let back = 0; back < fresh; back += 1) this.#clear(slice - back);
    this.#current = slice;
    this.#currentEndsAt = (slice + 1) * this.#sliceMs;
    this.#currentRow = this.#row(slice);
  }

  /** Counts one more, at the time that it was advanced to. */
  add(kind: number): void {
    const at = this.#currentRow + kind;
    this.#slices[at] = (this.#slices[at] ?? 0) + 1;
    this.#totals[kind] = this.total(kind) + 1;
  }

  /** How many there are, at the time that it was advanced to. */
  total(kind: number): number {
    return this.#totals[kind] ?? 0;
  }

  /** How many there would be now; changes nothing. */
  totalAt(kind: number, now: number): number {
    const gone = this.#sliceAt(now) - this.#current;
    let sum = 0;
    for (let back = 0; back < SLICES - gone; back += 1) {
      sum += this.#slices[this.#row(this.#current - back) + kind] ?? 0;
    }
    return sum;
  }

  reset(): void {
    this.#slices.fill(0);
    this.#totals.fill(0);
  }

  /** The slice that `now` is in, never one before that which time stands in. */
  #sliceAt(now: number): number {
    return now < this.#currentEndsAt ? this.#current : Math.floor(now / this.#sliceMs);
  }

  #clear(slice: number): void {
    const row = this.#row(slice);
    for (let kind = 0; kind < this.#kinds; kind += 1) {
      this.#totals[kind] = this.total(kind) - (this.#slices[row + kind] ?? 0);
      this.#slices[row + kind] = 0;
    }
  }

  #row(slice: number): number {
    return (((slice % SLICES) + SLICES) % SLICES) * this.#kinds;
  }
}
