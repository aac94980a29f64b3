import type { Shop } from "../shop.ts";

/** Something that must have come out as it did. */
export interface Check {
  readonly what: string;
  readonly expected: string;
  readonly came: string;
  readonly holds: boolean;
}

/** What a row of the tour found. */
export interface Result {
  /** How many calls it made. */
  readonly calls: number;
  /** How many tries on the wire these took. */
  readonly attempts: number;
  /** How they ended, in words. */
  readonly outcome: string;
  /** How long each took, in milliseconds. For showing: no check rests on it. */
  readonly durationsMs: readonly number[];
  /** What the policy did, in words. */
  readonly policy: string;
  /** Calls whose deadline passed though nothing was meant to slow them: the machine stood still, or there is a fault. */
  readonly late: number;
  /** What the verdict rests on: counts and order, as both sides saw them. */
  readonly checks: readonly Check[];
}

/** One row of the tour. */
export interface Row {
  readonly name: string;
  run(shop: Shop): Promise<Result>;
}

/** Expects exactly this. */
export function same<T extends string | number | bigint>(what: string, came: T, expected: T): Check {
  return { what, expected: String(expected), came: String(came), holds: came === expected };
}

/** Expects a number within bounds. */
export function within(what: string, came: number, least: number, most = Number.POSITIVE_INFINITY): Check {
  const expected = most === Number.POSITIVE_INFINITY ? `at least ${least}` : `from ${least} to ${most}`;
  return { what, expected, came: String(came), holds: came >= least && came <= most };
}

/** Whether a row came out as it must. One without checks has shown nothing. */
export function passed({ checks }: Pick<Result, "checks">): boolean {
  return checks.length > 0 && checks.every(({ holds }) => holds);
}
