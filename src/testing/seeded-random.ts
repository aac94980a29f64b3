import type { Random } from "../core/random.ts";

/** Chance that repeats itself. */
export interface SeededRandom extends Random {
  /** What it was made with: print it when a test fails. */
  readonly seed: number;
}

/**
 * Makes a source of chance that gives the same numbers for the same seed, on every machine and in every version:
 * Tommy Ettinger's Mulberry32, which walks through 2^32 states. Not for secrets.
 *
 * @param seed a whole number from 0 to 4,294,967,295.
 * @throws RangeError for any other seed.
 */
export function seededRandom(seed: number): SeededRandom {
  if (seed !== seed >>> 0)
    throw new RangeError(`seededRandom: the seed must be a whole number below 2^32; it is ${seed}`);
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  return Object.assign(next, { seed });
}
