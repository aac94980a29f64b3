import { describe, expect, test } from "vitest";
import { Status } from "../../../src/core/status.ts";
import type { HedgePace } from "../../../src/policy/hedge-pace.ts";
import { aLoss, type HedgesUnderTest, hedges } from "../../support/hedging.ts";

/** What a method's pace is told of its attempts, in milliseconds. */
function recorded(set: HedgesUnderTest): number[] {
  const told: number[] = [];
  const pace = set.share.pace as HedgePace;
  const { record } = pace;
  pace.record = (tookMs) => {
    told.push(tookMs);
    record.call(pace, tookMs);
  };
  return told;
}

/** A method whose hedges wait for a millisecond, and what its pace is told from now on. */
function known() {
  const set = hedges({ adaptive: true, maxAttempts: 3 });
  for (let n = 0; n < 200; n += 1) set.call().succeeded(1);
  return { ...set, told: recorded(set) };
}

describe("how long attempts take is learned of", () => {
  test("one that is answered", async () => {
    const { call, clock, told } = known();
    const hedge = call();
    await clock.advance(7);
    hedge.succeeded(1);
    expect(told).toEqual([7]);
  });

  test("one that loses after it was slow, as slow as it was until then", async () => {
    const { call, clock, told } = known();
    const hedge = call();
    await clock.advance(10);
    hedge.due();
    await clock.advance(5);
    hedge.succeeded(2);
    expect(told).toEqual([5, 15]);
  });

  test("not one that loses before anybody knows whether it is slow", async () => {
    const { call, clock, told } = known();
    const hedge = call();
    await clock.advance(10);
    hedge.due();
    await clock.advance(0.5);
    hedge.succeeded(1);
    expect(told).toEqual([10.5]);
  });

  test("one that ran out of the call's time", async () => {
    const { call, clock, told } = known();
    const hedge = call();
    await clock.advance(300);
    hedge.failed(1, aLoss({ code: Status.DEADLINE_EXCEEDED, expired: true }));
    expect(told).toEqual([300]);
  });

  test.each([
    ["that is not fatal", aLoss()],
    ["that is", aLoss({ code: Status.NOT_FOUND })],
    ["after headers", aLoss({ committed: true })],
    ["of our own", aLoss({ rejected: true })],
  ])("not one that fails with a status %s: that may be fast", async (_, loss) => {
    const { call, clock, told } = known();
    const hedge = call();
    await clock.advance(50);
    hedge.failed(1, loss);
    hedge.abandoned();
    expect(told).toEqual([]);
  });

  test("not those that nobody waits for any longer", async () => {
    const { call, clock, told } = known();
    const hedge = call();
    await clock.advance(50);
    expect(hedge.abandoned()).toEqual([1]);
    expect(told).toEqual([]);
  });
});

describe("what is over stays over", () => {
  test("nothing is under way, due or held after it was abandoned, however often", async () => {
    const { call, clock, share } = hedges({ maxAttempts: 3 });
    const hedge = call();
    await clock.advance(100);
    hedge.due();
    expect([hedge.abandoned(), hedge.abandoned()]).toEqual([[1, 2], []]);
    expect([hedge.running, hedge.dueAt, share.budget.snapshot().inFlight]).toEqual([0, Number.POSITIVE_INFINITY, 0]);
  });

  test("an attempt that is not under way cannot end", () => {
    const hedge = hedges().call();
    hedge.succeeded(1);
    expect(() => hedge.failed(1, aLoss())).toThrow(RangeError);
    expect(() => hedge.succeeded(2)).toThrow(RangeError);
  });
});
