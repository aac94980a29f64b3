import { describe, expect, test } from "vitest";
import { SlidingCounts } from "../../../src/policy/sliding-counts.ts";

const HOUR = 3_600_000;

/** Counts over a second, in slices of 100 ms. */
function counting(windowMs = 1_000) {
  const counts = new SlidingCounts(windowMs, 2);
  const at = (now: number, times = 1) => {
    counts.advance(now);
    for (let n = 0; n < times; n += 1) counts.add(0);
  };
  const totalAt = (now: number) => {
    const told = counts.totalAt(0, now);
    counts.advance(now);
    expect(counts.total(0)).toBe(told);
    return told;
  };
  return { counts, at, totalAt };
}

describe("what was counted", () => {
  test("stays while its slice is one of ten, and leaves at the eleventh's begin", () => {
    const { at, totalAt } = counting();
    at(0);
    expect(totalAt(999)).toBe(1);
    expect(totalAt(1_000)).toBe(0);
  });

  test("leaves with its slice, so a moment before its window is over", () => {
    const { at, totalAt } = counting();
    at(99);
    expect(totalAt(999.9)).toBe(1);
    expect(totalAt(1_000)).toBe(0);
  });

  test("leaves a slice at a time", () => {
    const { at, totalAt } = counting();
    for (let now = 0; now < 1_000; now += 50) at(now);
    expect([1_000, 1_099, 1_100, 1_500, 1_899, 1_900].map(totalAt)).toEqual([18, 18, 16, 8, 2, 0]);
  });

  test.each([1_000, 1_001, HOUR, 1e12])("is gone after %d ms in which nothing came", (idleMs) => {
    const { at, totalAt } = counting();
    at(950, 7);
    expect(totalAt(950 + idleMs)).toBe(0);
  });

  test("does not come back when the ring comes round", () => {
    const { at, totalAt } = counting();
    at(0, 3);
    at(1_000);
    expect(totalAt(1_000)).toBe(1);
    at(11_050);
    expect(totalAt(11_050)).toBe(1);
  });

  test("is kept apart by kind", () => {
    const { counts } = counting();
    counts.advance(0);
    counts.add(0);
    counts.add(1);
    counts.add(1);
    expect([counts.total(0), counts.total(1)]).toEqual([1, 2]);
    counts.advance(1_000);
    expect([counts.total(0), counts.total(1)]).toEqual([0, 0]);
  });

  test("is exact with a million in a slice", () => {
    const { at, totalAt } = counting();
    at(0, 1_000_000);
    at(100, 1_000_000);
    expect([totalAt(100), totalAt(1_000), totalAt(1_100)]).toEqual([2_000_000, 1_000_000, 0]);
  });

  test("is forgotten by reset, and what comes then is counted", () => {
    const { counts, at, totalAt } = counting();
    at(150, 5);
    counts.reset();
    expect(totalAt(150)).toBe(0);
    at(160);
    expect([totalAt(160), totalAt(1_099), totalAt(1_100)]).toEqual([1, 1, 0]);
  });
});

describe("totalAt", () => {
  test("changes nothing, however far it looks", () => {
    const { counts, at } = counting();
    at(50, 3);
    expect([counts.totalAt(0, HOUR), counts.totalAt(0, 1_000), counts.totalAt(0, 50)]).toEqual([0, 0, 3]);
    expect(counts.total(0)).toBe(3);
  });

  test("of nothing is nothing, though it was never advanced", () => {
    expect([0, 123.4, -5, HOUR].map((now) => new SlidingCounts(1_000, 1).totalAt(0, now))).toEqual([0, 0, 0, 0]);
  });
});

describe("time", () => {
  test("that goes back is taken as standing still", () => {
    const { counts, at } = counting();
    at(500, 2);
    at(100);
    expect([counts.total(0), counts.totalAt(0, 100), counts.totalAt(0, 500)]).toEqual([3, 3, 3]);
    expect([counts.totalAt(0, 1_499), counts.totalAt(0, 1_500)]).toEqual([3, 0]);
  });

  test.each([-12_345.5, -1_000, 0.25, 1_234.567, 9e15])("may start at %d", (start) => {
    const { at, totalAt } = counting();
    at(start);
    expect([totalAt(start), totalAt(start + 1_000)]).toEqual([1, 0]);
  });
});

describe("a window", () => {
  test("without an end forgets nothing", () => {
    const { at, totalAt } = counting(Number.POSITIVE_INFINITY);
    at(0);
    at(HOUR);
    expect(totalAt(1e15)).toBe(2);
  });

  test.each([0.001, 0.3, 7, 12_345.678])("may be %d ms long", (windowMs) => {
    const { at, totalAt } = counting(windowMs);
    at(1e6, 3);
    expect([totalAt(1e6), totalAt(1e6 + windowMs * 1.1 + 0.001)]).toEqual([3, 0]);
  });

  test.each([7, 0.3, 0.7, 33])("of %d ms looks the same from both sides of each slice's begin", (windowMs) => {
    const { at, totalAt } = counting(windowMs);
    const begins = Array.from({ length: 200 }, (_, slice) => (slice * windowMs) / 10);
    for (const begin of begins) {
      at(begin);
      totalAt(begin + begin * Number.EPSILON);
    }
    expect(totalAt(1e6)).toBe(0);
  });
});
