import { describe, expect, test } from "vitest";
import type { AdaptiveLimit, LimitPermit } from "../../../src/policy/adaptive-limit.ts";
import type { FakeClock } from "../../../src/testing/index.ts";
import { aLimit } from "../../support/isolating.ts";

/** Takes each new estimate whole: 20, 24, 28 … while all is well, and 14 after a window of drops. */
const quick = { smoothing: 1 };

function begin(limit: AdaptiveLimit, calls: number): LimitPermit[] {
  return Array.from({ length: calls }, () => {
    const permit = limit.tryAcquire();
    if (!permit) throw new Error("a permit was expected");
    return permit;
  });
}

/** Makes so many calls at a time that take this long. */
async function take(limit: AdaptiveLimit, clock: FakeClock, calls: number, ms: number, end = succeed) {
  const permits = begin(limit, calls);
  await clock.advance(ms);
  for (const permit of permits) end(permit);
}

const succeed = (permit: LimitPermit) => permit.success();

test("lends as many permits as the limit is, and takes each back once", () => {
  const { limit } = aLimit();
  const [first, ...others] = begin(limit, 20);
  expect(limit.tryAcquire()).toBeUndefined();
  first?.ignore();
  first?.success();
  first?.dropped();
  expect(limit.snapshot()).toEqual({ limit: 20, inFlight: 19, longMs: 0 });
  for (const permit of others) permit.ignore();
  expect(limit.snapshot().inFlight).toBe(0);
});

describe("a window", () => {
  test("lasts a second at least", async () => {
    const { limit, clock, told } = aLimit(quick);
    await take(limit, clock, 20, 10);
    await clock.advance(989);
    await take(limit, clock, 1, 10);
    expect(told).toEqual([]);
    await take(limit, clock, 1, 1);
    expect(told).toEqual([[20, 24]]);
  });

  test("has ten outcomes at least", async () => {
    const { limit, clock, told } = aLimit(quick);
    await take(limit, clock, 9, 100);
    // Not ten samples yet: those of calls that say nothing do not count.
    await clock.advance(2_000);
    await take(limit, clock, 20, 10, (permit) => permit.ignore());
    expect(told).toEqual([]);
    // The tenth, with 20 under way when it began.
    const permits = begin(limit, 20);
    await clock.advance(100);
    for (const permit of permits.toReversed()) permit.success();
    expect(told).toEqual([[20, 24]]);
  });

  test.each([
    [59_999, [[20, 24]]],
    [60_000, []],
  ])("that has not come to ten after %d ms: %j", async (ms, expected) => {
    const { limit, clock, told } = aLimit(quick);
    await take(limit, clock, 9, 10);
    await clock.advance(ms - 10);
    const permits = begin(limit, 20);
    await clock.advance(10);
    permits.at(-1)?.success();
    expect(told).toEqual(expected);
  });

  test("is measured by the mean of what its calls took", async () => {
    const { limit, clock } = aLimit();
    await take(limit, clock, 10, 100);
    await take(limit, clock, 5, 1_000);
    expect(limit.snapshot().longMs).toBe((10 * 100 + 1_000) / 11);
  });
});

describe("what counts", () => {
  test("only successes tell how long calls take", async () => {
    const { limit, clock } = aLimit();
    await take(limit, clock, 10, 100);
    await take(limit, clock, 10, 900, (permit) => permit.dropped());
    await take(limit, clock, 1, 100);
    expect(limit.snapshot().longMs).toBe(100);
  });

  test("the time for which the process stood still does not", async () => {
    const { limit, clock } = aLimit();
    await take(limit, clock, 10, 1_000, (permit) => permit.success(900));
    await clock.advance(900);
    await take(limit, clock, 1, 100);
    expect(limit.snapshot().longMs).toBe(100);
  });

  test("what took no time does not: no target answered it", async () => {
    const { limit, clock } = aLimit();
    await take(limit, clock, 20, 0);
    await take(limit, clock, 10, 100);
    await take(limit, clock, 1, 1_000);
    expect(limit.snapshot().longMs).toBeCloseTo((10 * 100 + 1_000) / 11, 10);
  });

  test("a call that the target turned away lowers the limit", async () => {
    const { limit, clock, told } = aLimit(quick);
    await take(limit, clock, 20, 500, (permit) => permit.dropped());
    await take(limit, clock, 1, 1_000, (permit) => permit.dropped());
    // The second one is the window's last: 20 · 0.5 + 4.
    expect(told).toEqual([[20, 14]]);
  });

  /** A limit of 20 that has learned that calls take 100 ms, at the beginning of a window. */
  async function learned() {
    const set = aLimit({ ...quick, maxLimit: 20 });
    await take(set.limit, set.clock, 10, 100);
    await set.clock.advance(900);
    await take(set.limit, set.clock, 1, 100);
    expect(set.limit.snapshot()).toEqual({ limit: 20, inFlight: 0, longMs: 100 });
    return set;
  }

  test.each([
    [100, [[20, 14]]],
    [99, []],
  ])("calls that are not answered within %d ms, where 100 are usual: %j", async (ms, expected) => {
    const { limit, clock, told } = await learned();
    await take(limit, clock, 20, ms, (permit) => permit.timedOut());
    await clock.advance(1_000);
    await take(limit, clock, 1, ms, (permit) => permit.timedOut());
    expect([told, limit.snapshot().inFlight]).toEqual([expected, 0]);
  });

  test("a time limit that passes while the process stands still says nothing", async () => {
    const { limit, clock, told } = await learned();
    await take(limit, clock, 20, 1_000, (permit) => permit.timedOut(950));
    await take(limit, clock, 20, 1_000, (permit) => permit.timedOut(950));
    expect([told, limit.snapshot().inFlight]).toEqual([[], 0]);
  });
});

describe("who waits for room", () => {
  test("is told once, in order, as far as there is room", () => {
    const { limit } = aLimit({ initialLimit: 1, minLimit: 1 });
    const [only] = begin(limit, 1);
    const told: string[] = [];
    limit.whenRoom(() => {
      told.push("first");
      limit.tryAcquire();
    });
    limit.whenRoom(() => told.push("second"));
    only?.ignore();
    expect(told).toEqual(["first"]);
    only?.ignore();
    expect(told).toEqual(["first"]);
  });
});
