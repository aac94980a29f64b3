import { expect, test } from "vitest";
import { Stall } from "../../../src/policy/stall.ts";

/** After each of so many intervals: whether the stream is stalled. */
function intervals(stall: Stall, count: number): boolean[] {
  return Array.from({ length: count }, () => stall.intervalOver());
}

test.each([1, 2, 3, 10])("missed %i: not after so many intervals less one, but after so many", (missed) => {
  const stall = new Stall({ missed });
  stall.waits();
  // The interval in which the reader began to wait had begun without it.
  expect(intervals(stall, 1 + missed)).toEqual([...Array.from({ length: missed }, () => false), true]);
});

test("a message in each interval, however late in it, is progress", () => {
  const stall = new Stall({ missed: 1 });
  for (let n = 0; n < 5; n += 1) {
    stall.waits();
    stall.progressed();
    stall.waits();
    expect(stall.intervalOver()).toBe(false);
  }
});

test("a message begins the count anew", () => {
  const stall = new Stall({ missed: 3 });
  stall.waits();
  expect(intervals(stall, 3)).toEqual([false, false, false]);
  stall.progressed();
  stall.waits();
  expect(intervals(stall, 4)).toEqual([false, false, false, true]);
});

test("nobody who waits, no stall: before the first message, and after one", () => {
  const stall = new Stall({ missed: 1 });
  expect(intervals(stall, 5)).not.toContain(true);
  stall.waits();
  stall.progressed();
  expect(intervals(stall, 5)).not.toContain(true);
});

test("a reader that comes back in the middle of an interval has not waited throughout it", () => {
  const stall = new Stall({ missed: 1 });
  stall.waits();
  expect(stall.intervalOver()).toBe(false);
  stall.progressed();
  expect(stall.intervalOver()).toBe(false);
  stall.waits();
  expect(intervals(stall, 2)).toEqual([false, true]);
});

test("a second reader that waits does not begin the count anew", () => {
  const stall = new Stall({ missed: 2 });
  stall.waits();
  expect(intervals(stall, 2)).toEqual([false, false]);
  stall.waits();
  expect(stall.intervalOver()).toBe(true);
});

test("intervals that a slow reader spends elsewhere do not count together with those before", () => {
  const stall = new Stall({ missed: 2 });
  stall.waits();
  expect(intervals(stall, 2)).toEqual([false, false]);
  stall.progressed();
  expect(intervals(stall, 1)).toEqual([false]);
  stall.waits();
  expect(intervals(stall, 3)).toEqual([false, false, true]);
});
