import { describe, expect, test } from "vitest";
import { resolveAdaptiveLimit } from "../../../src/contract/resolve.ts";
import { Gradient2 } from "../../../src/policy/gradient2.ts";

const aGradient = (policy = {}) => new Gradient2(resolveAdaptiveLimit(policy));
const well = { inFlight: 200, droppedRatio: 0 };

/** Gives it the same sample again and again. */
function feed(gradient: Gradient2, times: number, shortMs: number, rest = well): number[] {
  return Array.from({ length: times }, () => {
    gradient.update({ shortMs, ...rest });
    return gradient.limit;
  });
}

test("begins at its initial limit, and knows of no latency", () => {
  expect([aGradient().limit, aGradient().longMs]).toEqual([20, 0]);
});

test("grows by a fifth of what may queue while nothing is slower than usual, up to its greatest", () => {
  // 20 · 0.8 + 0.2 · (20 + 4) = 20.8, 21.6, 22.4 …
  expect(feed(aGradient(), 5, 10)).toEqual([20, 21, 22, 23, 24]);
  expect(feed(aGradient(), 400, 10).at(-1)).toBe(200);
});

describe("the usual latency", () => {
  test("is the mean of the first ten samples", () => {
    const gradient = aGradient();
    for (let n = 1; n <= 10; n += 1) gradient.update({ shortMs: n, ...well });
    expect(gradient.longMs).toBeCloseTo(5.5, 10);
  });

  test("then moves by 2/601 of each", () => {
    const gradient = aGradient();
    feed(gradient, 10, 10);
    gradient.update({ shortMs: 20, ...well });
    expect(gradient.longMs).toBeCloseTo(10 + (10 * 2) / 601, 10);
  });

  test.each([
    [5, 10],
    [4.9, 10 * 0.95],
  ])("of 10 ms, with a latest of %d ms, is about %d ms: beyond twice as much it decays", (shortMs, expected) => {
    const gradient = aGradient();
    feed(gradient, 10, 10);
    gradient.update({ shortMs, ...well });
    expect(gradient.longMs).toBeCloseTo((expected / 10) * (10 + ((shortMs - 10) * 2) / 601), 10);
  });
});

describe("a latest latency of so many times the usual one", () => {
  test.each([
    // The usual is a little more by then, since it moves too.
    [1.5, 20.8],
    [2, 0.8 * 20 + 0.2 * (20 * (1.5 / (2 / (1 + 2 / 601))) + 4)],
    [3, 0.8 * 20 + 0.2 * (20 * (1.5 / (3 / (1 + 4 / 601))) + 4)],
    [30, 0.8 * 20 + 0.2 * (20 * 0.5 + 4)],
  ])("%d gives %d of 20", (times, expected) => {
    const gradient = aGradient({ initialLimit: 20 });
    // Ten windows with few under way: the usual latency is learned, and the limit held.
    feed(gradient, 10, 10, { inFlight: 1, droppedRatio: 0 });
    expect(gradient.limit).toBe(20);
    gradient.update({ shortMs: 10 * times, ...well });
    expect(gradient.limit).toBe(Math.floor(expected));
  });

  test("brings it down to its least, and no further", () => {
    const gradient = aGradient({ minLimit: 12 });
    feed(gradient, 10, 10);
    expect(feed(gradient, 100, 1_000).at(20)).toBe(12);
  });
});

test.each([
  [9, 20],
  [10, 21],
])("with %d of 20 under way it comes to %d at the next one: with less than half it is held", (inFlight, expected) => {
  const gradient = aGradient();
  feed(gradient, 1, 10, { inFlight, droppedRatio: 0 });
  // 20 or 20.8, which grows by 0.8.
  expect(feed(gradient, 1, 10)).toEqual([expected]);
});

describe("a share that is dropped", () => {
  test.each([
    [0.1, 40],
    [0.2, 20],
    [0.5, 8],
    [1, 8],
  ])("of %d settles at %d, where what may queue makes up for it", (droppedRatio, expected) => {
    const gradient = aGradient({ initialLimit: 30 });
    const shortMs = droppedRatio === 1 ? undefined : 10;
    for (let n = 0; n < 2_000; n += 1) gradient.update({ shortMs, inFlight: 200, droppedRatio });
    expect(gradient.limit).toBeGreaterThanOrEqual(expected - 1);
    expect(gradient.limit).toBeLessThanOrEqual(expected);
  });

  test("of all leaves the usual latency as it is", () => {
    const gradient = aGradient();
    feed(gradient, 3, 10);
    gradient.update({ shortMs: undefined, inFlight: 20, droppedRatio: 1 });
    expect(gradient.longMs).toBe(10);
  });
});
