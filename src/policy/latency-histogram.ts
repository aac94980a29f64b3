import { SlidingCounts } from "./sliding-counts.ts";

/** By how much each bucket's end is above the one before it, so by how much a percentile may be too high. */
const GROWTH = 1.1;

/** The first bucket ends at 1 ms, the last one at about two minutes: what takes longer counts as that. */
const BUCKETS = 124;

/** Where the sum of all buckets is counted. */
const ALL = BUCKETS;

const LOG_GROWTH = Math.log(GROWTH);

/**
 * How long things took of late: counts over a sliding window of time, in buckets that grow by a tenth. It forgets by
 * the clock, and takes about 11 KB, however much it counts.
 */
export class LatencyHistogram {
  readonly #counts: SlidingCounts;

  /** @param windowMs how far back it counts, in milliseconds. */
  constructor(windowMs: number) {
    this.#counts = new SlidingCounts(windowMs, BUCKETS + 1);
  }

  /** Something took so many milliseconds. */
  record(tookMs: number, now: number): void {
    this.#counts.advance(now);
    this.#counts.add(bucketOf(tookMs));
    this.#counts.add(ALL);
  }

  /** How many there are in the window. */
  count(now: number): number {
    this.#counts.advance(now);
    return this.#counts.total(ALL);
  }

  /**
   * What the given share of them took no longer than, in milliseconds: never too low, at most a tenth too high, at
   * least 1.
   *
   * @param share above 0, at most 1.
   * @returns undefined if there are none.
   */
  percentile(share: number, now: number): number | undefined {
    const wanted = Math.ceil(share * this.count(now));
    if (wanted === 0) return undefined;
    let bucket = 0;
    for (let seen = this.#counts.total(0); seen < wanted; seen += this.#counts.total(bucket)) bucket += 1;
    return GROWTH ** bucket;
  }
}

function bucketOf(tookMs: number): number {
  if (!(tookMs > 1)) return 0;
  return Math.min(Math.ceil(Math.log(tookMs) / LOG_GROWTH), BUCKETS - 1);
}
