import { describe, expect, test } from "vitest";
import { HedgePace } from "../../../src/policy/hedge-pace.ts";
import { fakeClock } from "../../../src/testing/index.ts";

const UNKNOWN = Number.POSITIVE_INFINITY;

/** A method's pace after so many attempts that took as long. */
function paceOf(attempts: number, tookMs: number) {
  const clock = fakeClock();
  const pace = new HedgePace(clock);
  const record = (times: number, tookMs: number) => {
    for (let n = 0; n < times; n += 1) pace.record(tookMs);
  };
  record(attempts, tookMs);
  return { clock, pace, record, delay: () => pace.call(clock.now()) };
}

describe("the delay", () => {
  test("is not known before a hundred attempts, and known with them", () => {
    const { delay, record } = paceOf(99, 20);
    expect(delay()).toBe(UNKNOWN);
    record(1, 20);
    expect(delay()).toBeGreaterThanOrEqual(20);
    expect(delay()).toBeLessThanOrEqual(22);
  });

  test("is at least a millisecond, however fast the method", () => {
    expect(paceOf(100, 0.01).delay()).toBe(1);
  });

  test("follows the method after a second at most", async () => {
    const { delay, record, clock } = paceOf(100, 20);
    expect(delay()).toBeLessThanOrEqual(22);
    record(100, 300);
    await clock.advance(999);
    expect(delay()).toBeLessThanOrEqual(22);
    await clock.advance(1);
    expect(delay()).toBeGreaterThanOrEqual(300);
  });

  test("is forgotten with the attempts that it was taken from", async () => {
    const { delay, clock } = paceOf(100, 20);
    await clock.advance(29_999);
    expect(delay()).toBeLessThanOrEqual(22);
    await clock.advance(1_000);
    expect(delay()).toBe(UNKNOWN);
  });

  test("is unknown after an idle hour, though it was known a moment before that", async () => {
    const { delay, clock } = paceOf(1_000, 20);
    delay();
    await clock.advance(3_600_000);
    expect(delay()).toBe(UNKNOWN);
  });
});

describe("the extra load", () => {
  test.each([
    [19, 0],
    [20, 1],
    [99, 4],
    [100, 5],
    [1_000, 50],
  ])("of %d calls %d may be hedged", (calls, expected) => {
    const { pace, clock } = paceOf(0, 0);
    for (let n = 0; n < calls; n += 1) pace.call(clock.now());
    expect(Array.from({ length: calls }, () => pace.tryHedge()).filter(Boolean)).toHaveLength(expected);
  });

  test("counts calls and hedges for ten seconds", async () => {
    const { pace, clock } = paceOf(0, 0);
    for (let n = 0; n < 20; n += 1) pace.call(clock.now());
    expect([pace.tryHedge(), pace.tryHedge()]).toEqual([true, false]);
    await clock.advance(10_000);
    expect(pace.tryHedge()).toBe(false);
    for (let n = 0; n < 20; n += 1) pace.call(clock.now());
    expect(pace.tryHedge()).toBe(true);
  });
});
