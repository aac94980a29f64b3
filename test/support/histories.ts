import fc from "fast-check";

/** Time that passes at a step, in quarters of a millisecond, which are exact. */
export const passing: fc.Arbitrary<number> = fc.oneof(
  { weight: 3, arbitrary: fc.nat(40).map((quarters) => quarters / 4) },
  { weight: 3, arbitrary: fc.nat(20).map((steps) => steps * 100) },
  { weight: 1, arbitrary: fc.constantFrom(999.75, 1_000, 5_000, 10_000, 3_600_000, 86_400_000) },
);

/** Where the clock starts. */
export const start: fc.Arbitrary<number> = fc.constantFrom(0, 0.25, 123.75, 1e9, 1e12 + 0.5);
export const seed: fc.Arbitrary<number> = fc.nat(0xffff_ffff);
/** Picks one of what there is: see `pick`. */
export const which: fc.Arbitrary<number> = fc.nat(1_000);

/** A history as long as it is said to be: short ones alone would show little. */
export function historyOf<T>(step: fc.Arbitrary<T>, maxLength: number): fc.Arbitrary<T[]> {
  return fc.array(step, { maxLength, size: "max" });
}

/** The one of these that a number picks; undefined if there is none. */
export function pick<T>(from: readonly T[], which: number): T | undefined {
  return from[which % from.length];
}

/** Both are the same. Done by hand, since matchers cost more than the machines that they look at. */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) throw new Error(`${what}: ${actual}, and should be ${expected}`);
}

/** It lies between the two, or is one of them. */
export function within(what: string, actual: number, least: number, most: number): void {
  if (!(actual >= least && actual <= most)) throw new Error(`${what}: ${actual}, and should be ${least} to ${most}`);
}

/** Each field of the second is the same in the first. */
export function sameFields(actual: object, expected: object): void {
  for (const [name, value] of Object.entries(expected)) same(name, Reflect.get(actual, name), value);
}
