import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LatencyHistogram } from "../../../src/policy/latency-histogram.ts";

/** A histogram of the last 30 s in which these were recorded at an instant. */
function holding(latencies: readonly number[], now = 0): LatencyHistogram {
  const histogram = new LatencyHistogram(30_000);
  for (const tookMs of latencies) histogram.record(tookMs, now);
  return histogram;
}

describe("a percentile", () => {
  test("of nothing is nothing", () => {
    expect(holding([]).percentile(0.95, 0)).toBeUndefined();
  });

  test("is never too low, and a tenth too high at most", () => {
    const latency = fc.double({ min: 1, max: 100_000, noNaN: true });
    fc.assert(
      fc.property(fc.array(latency, { minLength: 1, maxLength: 60 }), fc.constantFrom(0.5, 0.95, 1), (all, share) => {
        const exact = all.toSorted((a, b) => a - b)[Math.ceil(share * all.length) - 1] ?? Number.NaN;
        const told = holding(all).percentile(share, 0);
        expect(told).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
        expect(told).toBeLessThanOrEqual(exact * 1.1 * (1 + 1e-9));
      }),
    );
  });

  test.each([0, 0.001, 0.999, 1, -5, Number.NaN])("is at least a millisecond, such as of %s", (tookMs) => {
    expect(holding([tookMs]).percentile(0.95, 0)).toBe(1);
  });

  test("stays finite however long things take", () => {
    expect(holding([1e12, Number.POSITIVE_INFINITY]).percentile(0.95, 0)).toBeCloseTo(1.1 ** 123, 3);
  });

  test.each([
    [95, 10],
    [94, 100],
  ])("of %d fast ones among a hundred, at 95 %%: about %d ms", (fast, expected) => {
    const latencies = Array.from({ length: 100 }, (_, index) => (index < fast ? 10 : 100));
    const told = holding(latencies).percentile(0.95, 0) ?? expect.unreachable();
    expect(told / expected).toBeGreaterThanOrEqual(1);
    expect(told / expected).toBeLessThanOrEqual(1.1);
  });
});

describe("what is recorded", () => {
  test("counts until its tenth of the window has left, whether or not anything comes", () => {
    const histogram = holding(Array(50).fill(20), 0);
    expect([29_999, 30_000].map((now) => histogram.count(now))).toEqual([50, 0]);
    expect(histogram.percentile(0.95, 30_000)).toBeUndefined();
  });

  test("makes place for what comes after it", () => {
    const histogram = holding(Array(100).fill(500), 0);
    for (let n = 0; n < 100; n += 1) histogram.record(2, 15_000);
    expect(histogram.percentile(0.95, 29_999)).toBeGreaterThanOrEqual(500);
    expect(histogram.percentile(0.95, 30_000)).toBeLessThanOrEqual(2.2);
  });

  test("does not count after an idle hour", () => {
    expect(holding([1, 2, 3], 0).count(3_600_000)).toBe(0);
  });
});
