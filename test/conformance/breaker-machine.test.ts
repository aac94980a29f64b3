import { describe, expect, test } from "vitest";
import type { BreakerPolicy } from "../../src/contract/policy.ts";
import type { BreakerUse } from "../../src/policy/breaker-permit.ts";
import {
  aBreaker,
  type BreakerUnderTest,
  begin,
  fail,
  granted,
  open,
  rejection,
  statesOf,
  succeed,
  take,
  toTrial,
} from "../support/machines.ts";

const HOUR = 3_600_000;

const stateOf = ({ breaker }: BreakerUnderTest) => breaker.snapshot().state;

/** Makes calls of which the last so many fail, and looks at the state before the last one and after it. */
function statesAround(set: BreakerUnderTest, calls: number, failures: number): string[] {
  succeed(set.breaker, calls - failures);
  fail(set.breaker, failures - 1);
  const before = stateOf(set);
  fail(set.breaker);
  return [before, stateOf(set)];
}

const windows: [string, BreakerPolicy][] = [
  ["time window", { windowMs: 10_000 }],
  ["count window", { windowCalls: 1_000 }],
];

describe.each(windows)("a %s", (_, window) => {
  describe("B1 opens when the ratio is at the threshold, with calls at the minimum", () => {
    test.each([
      [0.5, 20, 10],
      [0.1, 10, 1],
      [0.3, 10, 3],
      [0.7, 10, 7],
      [0.55, 20, 11],
      [0.07, 100, 7],
      [0.14, 50, 7],
      [0.29, 100, 29],
      [1, 20, 20],
    ])(
      "B1 at a ratio of %d: of %d calls, with the failure number %d, and not before",
      (failureRatio, calls, failures) => {
        const set = aBreaker({ ...window, failureRatio, minimumCalls: calls });
        expect(statesAround(set, calls, failures)).toEqual(["closed", "open"]);
      },
    );

    test("B1 not below the minimum, though all fail", () => {
      const set = aBreaker({ ...window, minimumCalls: 20 });
      fail(set.breaker, 19);
      expect(stateOf(set)).toBe("closed");
      fail(set.breaker);
      expect(stateOf(set)).toBe("open");
    });

    test("B1 a success opens it, if it brings the minimum and the ratio is at the threshold", () => {
      const set = aBreaker({ ...window, minimumCalls: 20 });
      fail(set.breaker, 10);
      succeed(set.breaker, 9);
      expect(stateOf(set)).toBe("closed");
      succeed(set.breaker);
      expect(stateOf(set)).toBe("open");
    });

    test("B1 not one failure below the threshold, however many calls there are", () => {
      const set = aBreaker({ ...window, minimumCalls: 20 });
      succeed(set.breaker, 51);
      fail(set.breaker, 49);
      expect(set.breaker.snapshot()).toMatchObject({ state: "closed", failureRatio: 0.49 });
      fail(set.breaker, 2);
      expect(set.breaker.snapshot()).toMatchObject({ state: "open", failureRatio: 0.5 });
    });

    test("B1 at the threshold of slow calls likewise, without a failure", async () => {
      const set = aBreaker({ ...window, minimumCalls: 4, slowMs: 10 });
      await take(set, 10);
      for (let n = 0; n < 3; n += 1) await take(set, 11);
      expect(set.breaker.snapshot()).toMatchObject({ state: "closed", slowRatio: 0.75 });
      await take(set, 11);
      expect(set.breaker.snapshot()).toMatchObject({ state: "open", failures: 0, slow: 4, slowRatio: 0.8 });
    });
  });

  describe("B2 forgets by the clock", () => {
    test("B2 181 calls and 72 failures are nothing after an idle hour", async () => {
      const set = aBreaker({ ...window, minimumCalls: 20 });
      succeed(set.breaker, 109);
      fail(set.breaker, 72);
      await set.clock.advance(HOUR);
      expect(set.breaker.snapshot()).toMatchObject({ calls: 0, failures: 0, failureRatio: 0 });
      fail(set.breaker);
      expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 1, failures: 1 });
    });

    test("B2 nineteen failures before an idle hour do not open it with one after", async () => {
      const set = aBreaker({ ...window, minimumCalls: 20 });
      fail(set.breaker, 19);
      await set.clock.advance(HOUR);
      fail(set.breaker, 19);
      expect(stateOf(set)).toBe("closed");
      fail(set.breaker);
      expect(stateOf(set)).toBe("open");
    });
  });

  test("B5 slow is longer than the limit, not as long", async () => {
    const set = aBreaker({ ...window, minimumCalls: 20, slowMs: 100 });
    await take(set, 100);
    expect(set.breaker.snapshot()).toMatchObject({ calls: 1, slow: 0 });
    await take(set, 100.5);
    expect(set.breaker.snapshot()).toMatchObject({ calls: 2, slow: 1 });
  });

  test("B5 a slow failure counts as both", async () => {
    const set = aBreaker({ ...window, minimumCalls: 20, slowMs: 100 });
    await take(set, 101, "failure");
    expect(set.breaker.snapshot()).toMatchObject({ calls: 1, failures: 1, slow: 1 });
  });
});

describe("B2 at the window's end", () => {
  test("B2 a time window lets go of a call with its slice, and not 1 ms before", async () => {
    const set = aBreaker({ minimumCalls: 20, windowMs: 10_000 });
    fail(set.breaker);
    await set.clock.advance(9_999);
    expect(set.breaker.snapshot().calls).toBe(1);
    await set.clock.advance(1);
    expect(set.breaker.snapshot().calls).toBe(0);
  });

  test("B2 a count window lets go of a call after its time, and not 1 ms before", async () => {
    const set = aBreaker({ minimumCalls: 20, windowCalls: 20 });
    fail(set.breaker);
    await set.clock.advance(599_999);
    expect(set.breaker.snapshot().calls).toBe(1);
    await set.clock.advance(1);
    expect(set.breaker.snapshot().calls).toBe(0);
  });

  test("B2 a count window lets go of the oldest call with each new one", () => {
    const set = aBreaker({ minimumCalls: 20, windowCalls: 20 });
    fail(set.breaker, 9);
    succeed(set.breaker, 20);
    expect(set.breaker.snapshot()).toMatchObject({ calls: 20, failures: 0 });
  });

  test("B2 failures that are spread over more than the window never open it", async () => {
    const set = aBreaker({ minimumCalls: 11, windowMs: 10_000 });
    for (let n = 0; n < 100; n += 1) {
      fail(set.breaker);
      await set.clock.advance(1_000);
    }
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 9 });
  });
});

describe("B3 ignored calls", () => {
  test("B3 count as nothing", () => {
    const set = aBreaker({ minimumCalls: 1 });
    for (const permit of begin(set.breaker, 100)) permit.ignore();
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 0, slow: 0 });
  });

  test("B3 count as nothing though they took long", async () => {
    const set = aBreaker({ minimumCalls: 1, slowMs: 10 });
    const permit = granted(set.breaker);
    await set.clock.advance(HOUR);
    permit.ignore();
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 0, slow: 0 });
  });

  test("B3 give their half-open permit back, and neither open nor close it", async () => {
    const set = aBreaker({ trials: 2 });
    await toTrial(set);
    for (let n = 0; n < 100; n += 1) {
      for (const trial of begin(set.breaker, 2)) trial.ignore();
    }
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 0, trials: 0 });
    succeed(set.breaker, 2);
    expect(stateOf(set)).toBe("closed");
  });
});

describe("B4 half-open", () => {
  test("B4 comes when the open time is over, with the next call, and not 1 ms before", async () => {
    const set = aBreaker();
    open(set);
    await set.clock.advance(999);
    expect(rejection(set.breaker)).toMatchObject({ state: "open", retryAfterMs: 1 });
    await set.clock.advance(1);
    granted(set.breaker);
    expect(stateOf(set)).toBe("half-open");
  });

  test.each([1, 2, 5, 10])("B4 admits at most %d trials at a time", async (trials) => {
    const set = aBreaker({ trials });
    await toTrial(set);
    const [first] = begin(set.breaker, trials);
    expect(rejection(set.breaker)).toMatchObject({ state: "half-open" });
    first?.ignore();
    granted(set.breaker);
    rejection(set.breaker);
    expect(set.breaker.snapshot().trials).toBe(trials);
  });

  test("B4 lets no more through than decide", async () => {
    const set = aBreaker({ trials: 3, failureRatio: 0.4 });
    await toTrial(set);
    succeed(set.breaker, 1);
    fail(set.breaker, 1);
    granted(set.breaker);
    expect(rejection(set.breaker)).toMatchObject({ state: "half-open" });
  });

  test.each([
    ["closes with the third success of five", "...", "closed"],
    ["opens with the third failure of five", "FFF", "open"],
    ["opens with the third failure, though two succeeded", "..FFF", "open"],
    ["closes with the third success, though two failed", "FF...", "closed"],
    ["waits for the rest of five", "F.F.", "half-open"],
  ])("B4 %s", async (_, outcomes, state) => {
    const set = aBreaker({ trials: 5 });
    await toTrial(set);
    for (const outcome of outcomes) granted(set.breaker)[outcome === "F" ? "failure" : "success"]();
    expect(stateOf(set)).toBe(state);
  });

  test("B4 opens for slow trials", async () => {
    const set = aBreaker({ trials: 1, slowMs: 100 });
    await toTrial(set);
    await take(set, 101);
    expect(set.told.at(-1)).toMatchObject({ from: "half-open", to: "open", calls: 1, failures: 0, slow: 1 });
  });

  test("B4 gives a trial that hangs up at the trial timeout, and not 1 ms before", async () => {
    const set = aBreaker({ trialTimeoutMs: 2_000 });
    await toTrial(set);
    granted(set.breaker);
    await set.clock.advance(1_999);
    expect(rejection(set.breaker)).toMatchObject({ state: "half-open", retryAfterMs: 1 });
    await set.clock.advance(1);
    expect(rejection(set.breaker)).toMatchObject({ state: "open", retryAfterMs: 2_000 });
  });

  test("B4 is not wedged by a trial that never ends", async () => {
    const set = aBreaker();
    await toTrial(set);
    const hanging = granted(set.breaker);
    await set.clock.advance(5_000);
    rejection(set.breaker);
    await set.clock.advance(2_000);
    succeed(set.breaker);
    expect(stateOf(set)).toBe("closed");
    hanging.failure();
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 0 });
  });

  test("B4 counts its open time from when a trial that never ends was given up, however late anybody asks", async () => {
    const set = aBreaker();
    await toTrial(set);
    granted(set.breaker);
    await set.clock.advance(HOUR);
    succeed(set.breaker);
    expect(stateOf(set)).toBe("closed");
  });

  test("B4 gives several that hang up at once, and each counts", async () => {
    const set = aBreaker({ trials: 5 });
    await toTrial(set);
    begin(set.breaker, 2);
    await set.clock.advance(5_000);
    begin(set.breaker, 3);
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 2, failures: 2, trials: 3 });
  });

  test("B4 closes with a trial that is given up, if the others outweigh it, and lets the call pass that asked", async () => {
    const set = aBreaker({ trials: 2, failureRatio: 1, slowRatio: 0.5 });
    await toTrial(set);
    begin(set.breaker, 1);
    succeed(set.breaker);
    expect(stateOf(set)).toBe("half-open");
    await set.clock.advance(5_000);
    fail(set.breaker);
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 1, failures: 1 });
  });

  test("B4 takes the result of a trial that is late, as long as nobody asked meanwhile", async () => {
    const set = aBreaker();
    await toTrial(set);
    await take(set, HOUR);
    expect(stateOf(set)).toBe("closed");
  });
});

describe("B6 a result of an earlier state is dropped", () => {
  test("B6 of the closed state, while it is open, half-open or closed again", async () => {
    const set = aBreaker();
    const late = begin(set.breaker, 4);
    open(set);
    late[0]?.success();
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", calls: 2 });
    await set.clock.advance(1_000);
    const trial = granted(set.breaker);
    late[1]?.success();
    late[2]?.failure();
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 0, trials: 1 });
    trial.success();
    late[3]?.failure();
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 0 });
  });

  test("B6 of an earlier generation of trials", async () => {
    const set = aBreaker({ trials: 2 });
    await toTrial(set);
    const [first, late] = begin(set.breaker, 2);
    first?.failure();
    await set.clock.advance(2_000);
    const [, second] = begin(set.breaker, 2);
    late?.failure();
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 0, trials: 2 });
    second?.ignore();
    late?.ignore();
    expect(set.breaker.snapshot().trials).toBe(1);
  });

  test("B6 of a trial that was given up, in the same half-open state", async () => {
    const set = aBreaker({ trials: 3 });
    await toTrial(set);
    const hanging = granted(set.breaker);
    await set.clock.advance(5_000);
    granted(set.breaker);
    hanging.success();
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 1, failures: 1, trials: 1 });
  });

  test.each(["forceOpen", "forceClosed", "disable", "reset"] as const)("B6 of before %s", (change) => {
    const set = aBreaker();
    const late = begin(set.breaker, 3);
    set.breaker[change]();
    for (const permit of late) permit.failure();
    expect(set.breaker.snapshot().calls).toBe(0);
  });
});

describe("B7 an attempt on a stream", () => {
  const use: BreakerUse = { slowMs: 100, givenUp: "ignored" };

  test("B7 whose trial is silent is given up, and counts as nothing: a stream may be silent and well", async () => {
    const set = aBreaker();
    await toTrial(set);
    const silent = granted(set.breaker, use);
    await set.clock.advance(4_999);
    rejection(set.breaker);
    await set.clock.advance(1);
    const next = granted(set.breaker, use);
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 0, trials: 1 });
    silent.success();
    expect(stateOf(set)).toBe("half-open");
    next.success();
    expect(stateOf(set)).toBe("closed");
  });

  test("B7 has settled its permit with its first message: what breaks later counts for nothing", () => {
    const set = aBreaker();
    const permit = granted(set.breaker, use);
    permit.success();
    permit.failure();
    expect(set.breaker.snapshot()).toMatchObject({ calls: 1, failures: 0 });
  });

  test("B7 is slow by its own limit, until its first message", async () => {
    const set = aBreaker({ slowMs: 1 });
    const [inTime, late] = begin(set.breaker, 2, use);
    await set.clock.advance(100);
    inTime?.success();
    await set.clock.advance(1);
    late?.success();
    expect(set.breaker.snapshot()).toMatchObject({ calls: 2, slow: 1 });
  });
});

describe("the open time (B4)", () => {
  /** How long it is open, from the first opening on, while each trial fails; chance gives the same number each time. */
  async function openTimes(openings: number, policy: BreakerPolicy, chance = 0.5): Promise<number[]> {
    const set = aBreaker({ openMs: 5_000, maxOpenMs: 60_000, ...policy }, () => chance);
    open(set);
    for (let n = 1; n < openings; n += 1) {
      await set.clock.advance(Math.ceil(set.breaker.snapshot().retryAfterMs ?? 0));
      fail(set.breaker);
    }
    return set.told.flatMap(({ openMs }) => (openMs === undefined ? [] : [openMs]));
  }

  test.each([
    [0, [4_000, 8_000, 16_000, 32_000, 48_000, 48_000]],
    [0.5, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]],
    [1, [6_000, 12_000, 24_000, 48_000, 72_000, 72_000]],
  ])("B4 doubles up to its greatest, ±20 %%: at chance %d", async (chance, expected) => {
    const times = await openTimes(6, {}, chance);
    expect(times.map((ms) => Math.round(ms * 1_000) / 1_000)).toEqual(expected);
  });

  test("B4 is the greatest one, where that is less than the first", async () => {
    expect(await openTimes(2, { openMs: 100_000 })).toEqual([60_000, 60_000]);
  });

  test("B4 starts anew after it has closed", async () => {
    const set = aBreaker();
    await toTrial(set);
    fail(set.breaker);
    await set.clock.advance(2_000);
    succeed(set.breaker);
    open(set);
    expect(set.told.flatMap(({ openMs = [] }) => openMs)).toEqual([1_000, 2_000, 1_000]);
  });

  test("B4 stays within its bound after a thousand openings", async () => {
    const set = aBreaker({ openMs: 1, maxOpenMs: 8 });
    open(set);
    for (let n = 0; n < 1_100; n += 1) {
      await set.clock.advance(8);
      fail(set.breaker);
    }
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", retryAfterMs: 8 });
  });
});

describe("B6 forced states", () => {
  test("B6 forced open: no call passes, whatever time it is", async () => {
    const set = aBreaker();
    set.breaker.forceOpen();
    await set.clock.advance(HOUR);
    expect(rejection(set.breaker)).toEqual({ granted: false, state: "forced-open", retryAfterMs: undefined });
  });

  test("B6 forced closed: all pass and are counted", () => {
    const set = aBreaker();
    set.breaker.forceClosed();
    fail(set.breaker, 30);
    expect(set.breaker.snapshot()).toMatchObject({ state: "forced-closed", calls: 30, failureRatio: 1 });
  });

  test("B6 disabled: all pass, and none is counted", () => {
    const set = aBreaker();
    set.breaker.disable();
    fail(set.breaker, 30);
    expect(set.breaker.snapshot()).toMatchObject({ state: "disabled", calls: 0 });
  });

  test("B6 reset ends each, and what was under way counts for nothing", () => {
    const set = aBreaker();
    set.breaker.forceClosed();
    const late = begin(set.breaker, 5);
    set.breaker.reset();
    for (const permit of late) permit.failure();
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 0 });
    expect(statesOf(set.told)).toEqual(["forced-closed", "closed"]);
  });
});

test("B1 to B4 a whole round: closed, open, half-open, open for twice as long, half-open, closed", async () => {
  const set = aBreaker({ minimumCalls: 20, openMs: 5_000, trials: 5 });
  fail(set.breaker, 20);
  expect(rejection(set.breaker)).toMatchObject({ state: "open", retryAfterMs: 5_000 });
  await set.clock.advance(5_000);
  fail(set.breaker, 3);
  expect(rejection(set.breaker)).toMatchObject({ state: "open", retryAfterMs: 10_000 });
  await set.clock.advance(10_000);
  succeed(set.breaker, 3);
  expect(statesOf(set.told)).toEqual(["open", "half-open", "open", "half-open", "closed"]);
});
