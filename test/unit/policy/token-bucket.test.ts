import { describe, expect, test } from "vitest";
import { TokenBuckets } from "../../../src/policy/token-bucket.ts";

function aSet(calls: number, perMs: number, burst: number, maxKeys?: number) {
  const clock = { time: 1_000, now: () => clock.time };
  const buckets = new TokenBuckets({ calls, perMs, burst }, clock, maxKeys);
  /** How many of so many questions are granted. */
  const granted = (count: number, key = "a") =>
    Array.from({ length: count }, () => buckets.take(key)).filter((waitMs) => waitMs === 0).length;
  return { clock, buckets, granted };
}

describe("a bucket", () => {
  test("holds as many tokens as its burst, and then says when there is one", () => {
    const { buckets, granted } = aSet(10, 1_000, 3);
    expect(granted(3)).toBe(3);
    expect(buckets.take("a")).toBe(100);
    expect(buckets.take("a")).toBe(100);
  });

  test("has a token when it said, and not a millisecond before", () => {
    const { clock, buckets, granted } = aSet(10, 1_000, 3);
    granted(3);
    clock.time += 99;
    expect(buckets.take("a")).toBe(1);
    clock.time += 1;
    expect(granted(2)).toBe(1);
  });

  test("holds no more than its burst, however long nobody asks", () => {
    const { clock, granted } = aSet(10, 1_000, 3);
    granted(3);
    clock.time += 3_600_000;
    expect(granted(10)).toBe(3);
  });

  test.each([
    [0.5, 1_000, 1, 2_000],
    [3, 1_000, 1, 1_000 / 3],
    [1.5, 100, 2, 100 / 1.5],
    [1, 86_400_000, 1, 86_400_000],
    [1_000_000, 1_000, 1, 0.001],
  ])("%d calls in %d ms, %d at once: a token every %d ms", (calls, perMs, burst, tokenMs) => {
    const { clock, buckets, granted } = aSet(calls, perMs, burst);
    expect(granted(burst)).toBe(burst);
    expect(buckets.take("a")).toBeCloseTo(tokenMs, 6);
    clock.time += tokenMs;
    expect(granted(2)).toBe(1);
  });

  test.each([0, 0.1, 12_345.678_9, 1e12])("of one token is full at the instant %d", (now) => {
    const { clock, granted } = aSet(1, 60_000, 1);
    clock.time = now;
    expect(granted(2)).toBe(1);
  });

  test("is each key's own", () => {
    const { granted } = aSet(1, 1_000, 1);
    expect([granted(2, "a"), granted(2, "b"), granted(1, "a")]).toEqual([1, 1, 0]);
  });
});

describe("a clock that jumps", () => {
  test("forward fills the bucket, and no more", () => {
    const { clock, granted } = aSet(1, 1_000, 2);
    granted(2);
    clock.time += 1e9;
    expect(granted(5)).toBe(2);
  });

  test("back makes nobody wait longer than for an empty bucket", () => {
    const { clock, buckets, granted } = aSet(1, 1_000, 2);
    granted(2);
    clock.time -= 1e9;
    expect(buckets.take("a")).toBe(1_000);
    clock.time += 1_000;
    expect(granted(2)).toBe(1);
  });
});

describe("what is remembered", () => {
  test("is forgotten when its bucket is full", () => {
    const { clock, buckets, granted } = aSet(10, 1_000, 10);
    for (let n = 0; n < 1_000; n += 1) granted(1, `key-${n}`);
    expect(buckets.snapshot()).toEqual({ keys: 1_000 });
    clock.time += 100;
    for (let n = 0; n < 1_000; n += 1) granted(1, "last");
    expect(buckets.snapshot()).toEqual({ keys: 1 });
  });

  test("is no more than it may be, and whoever asks often is not forgotten by a flood of others", () => {
    const { buckets, granted } = aSet(1, 60_000, 1, 100);
    expect(granted(1, "abuser")).toBe(1);
    for (let n = 0; n < 10_000; n += 1) {
      granted(1, `other-${n}`);
      const admitted = n % 50 === 0 ? granted(1, "abuser") : 0;
      expect(admitted).toBe(0);
    }
    expect(buckets.snapshot().keys).toBe(100);
  });
});
