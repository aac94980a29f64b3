import { describe, expect, test } from "vitest";
import { resolveBreaker } from "../../../src/contract/resolve.ts";
import { Breaker } from "../../../src/policy/breaker.ts";
import type { BreakerPermit } from "../../../src/policy/breaker-permit.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import {
  aBreaker,
  begin,
  fail,
  granted,
  MIDDLE,
  open,
  rejection,
  scripted,
  statesOf,
  succeed,
  take,
  toTrial,
} from "../../support/machines.ts";

const HOUR = 3_600_000;

test("starts closed, with nothing counted", () => {
  expect(aBreaker().breaker.snapshot()).toEqual({
    ...{ state: "closed", calls: 0, failures: 0, slow: 0, failureRatio: 0, slowRatio: 0 },
    ...{ trials: 0, rejected: 0, retryAfterMs: undefined },
  });
});

describe("a snapshot", () => {
  test("has counts and ratios of what is in the window", () => {
    const { breaker } = aBreaker({ minimumCalls: 20 });
    fail(breaker, 1);
    succeed(breaker, 7);
    expect(breaker.snapshot()).toMatchObject({ calls: 8, failures: 1, failureRatio: 0.125, slow: 0, slowRatio: 0 });
  });

  test("has what the trials came to, while it is half-open, and how many are under way", async () => {
    const set = aBreaker({ trials: 4 });
    await toTrial(set);
    const [first] = begin(set.breaker, 3);
    first?.failure();
    expect(set.breaker.snapshot()).toMatchObject({ state: "half-open", calls: 1, failures: 1, trials: 2 });
  });

  test("lets an open time that is over stand until the next call asks", async () => {
    const set = aBreaker();
    await toTrial(set);
    await set.clock.advance(HOUR);
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", retryAfterMs: 0 });
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", retryAfterMs: 0 });
    expect(statesOf(set.told)).toEqual(["open"]);
  });

  test("counts what was rejected since it last opened", async () => {
    const set = aBreaker();
    open(set);
    rejection(set.breaker);
    rejection(set.breaker);
    expect(set.breaker.snapshot().rejected).toBe(2);
    await set.clock.advance(1_000);
    const trial = granted(set.breaker);
    rejection(set.breaker);
    expect(set.breaker.snapshot().rejected).toBe(3);
    trial.failure();
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", rejected: 0 });
  });

  test("still tells what was rejected, once it has closed by itself", async () => {
    const set = aBreaker();
    open(set);
    rejection(set.breaker);
    await set.clock.advance(1_000);
    succeed(set.breaker);
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 0, rejected: 1 });
  });
});

describe("a rejection says when the next trial is due", () => {
  test("while it is open", async () => {
    const set = aBreaker();
    open(set);
    await set.clock.advance(999);
    expect(rejection(set.breaker)).toEqual({ granted: false, state: "open", retryAfterMs: 1 });
    await set.clock.advance(1);
    expect(set.breaker.tryAcquire().granted).toBe(true);
  });

  test("while it is half-open: when the oldest trial is given up", async () => {
    const set = aBreaker({ trials: 2 });
    await toTrial(set);
    begin(set.breaker, 1);
    await set.clock.advance(400);
    begin(set.breaker, 1);
    expect(rejection(set.breaker)).toEqual({ granted: false, state: "half-open", retryAfterMs: 4_600 });
  });

  test("and nothing while it is forced open", () => {
    const { breaker } = aBreaker();
    breaker.forceOpen();
    expect(rejection(breaker)).toEqual({ granted: false, state: "forced-open", retryAfterMs: undefined });
  });
});

describe("what it tells", () => {
  test("is each change of state with what it stood at, and how long it is open", async () => {
    const set = aBreaker({ minimumCalls: 4 });
    succeed(set.breaker, 2);
    fail(set.breaker, 2);
    await set.clock.advance(1_000);
    succeed(set.breaker);
    expect(set.told).toEqual([
      { from: "closed", to: "open", calls: 4, failures: 2, slow: 0, openMs: 1_000 },
      { from: "open", to: "half-open", calls: 4, failures: 2, slow: 0 },
      { from: "half-open", to: "closed", calls: 1, failures: 0, slow: 0 },
    ]);
  });

  test("B2 has nothing that has left the window by then", async () => {
    const { breaker, clock, told } = aBreaker();
    fail(breaker);
    await clock.advance(HOUR);
    breaker.forceOpen();
    expect(told).toEqual([{ from: "closed", to: "forced-open", calls: 0, failures: 0, slow: 0 }]);
  });

  test("has what reset forgets", () => {
    const set = aBreaker();
    open(set);
    set.breaker.reset();
    expect(set.told.at(-1)).toEqual({ from: "open", to: "closed", calls: 2, failures: 2, slow: 0 });
  });

  test("is nothing where nothing changed", () => {
    const { breaker, told } = aBreaker();
    breaker.reset();
    breaker.forceOpen();
    breaker.forceOpen();
    expect(statesOf(told)).toEqual(["forced-open"]);
  });
});

describe("forced", () => {
  test("open: nothing passes, however long it takes, until reset", async () => {
    const { breaker, clock, told } = aBreaker();
    breaker.forceOpen();
    await clock.advance(24 * HOUR);
    expect(rejection(breaker).state).toBe("forced-open");
    expect(breaker.snapshot().rejected).toBe(1);
    breaker.reset();
    succeed(breaker);
    expect(statesOf(told)).toEqual(["forced-open", "closed"]);
    expect(breaker.snapshot()).toMatchObject({ state: "closed", calls: 1, rejected: 0 });
  });

  test("open: counts rejections anew", () => {
    const set = aBreaker();
    open(set);
    rejection(set.breaker);
    set.breaker.forceOpen();
    expect(set.breaker.snapshot().rejected).toBe(0);
  });

  test("closed: all pass and are counted, and it never opens", () => {
    const { breaker } = aBreaker();
    breaker.forceClosed();
    fail(breaker, 100);
    expect(breaker.snapshot()).toMatchObject({ state: "forced-closed", calls: 100, failures: 100 });
    breaker.reset();
    expect(breaker.snapshot()).toMatchObject({ state: "closed", calls: 0 });
  });

  test("disabled: all pass, and nothing is counted", () => {
    const { breaker } = aBreaker();
    breaker.disable();
    fail(breaker, 100);
    succeed(breaker, 1);
    granted(breaker).ignore();
    expect(breaker.snapshot()).toMatchObject({ state: "disabled", calls: 0, failures: 0 });
  });

  test("open while trials are under way: they count for nothing, now or after reset", async () => {
    const set = aBreaker({ trials: 3 });
    await toTrial(set);
    const [first, second, third] = begin(set.breaker, 3);
    set.breaker.forceOpen();
    expect(set.breaker.snapshot()).toMatchObject({ state: "forced-open", trials: 0 });
    first?.failure();
    set.breaker.reset();
    second?.failure();
    third?.success();
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 0, trials: 0 });
  });

  test("closed while trials are under way: counts anew, without what opened it", async () => {
    const set = aBreaker({ trials: 3 });
    await toTrial(set);
    begin(set.breaker, 2);
    set.breaker.forceClosed();
    succeed(set.breaker);
    expect(set.breaker.snapshot()).toMatchObject({ state: "forced-closed", calls: 1, failures: 0, trials: 0 });
  });

  test.each(["forceOpen", "forceClosed", "disable"] as const)("%s from any state, and reset from it", async (force) => {
    const states = [() => {}, open, toTrial].map(async (bring) => {
      const set = aBreaker();
      await bring(set);
      set.breaker[force]();
      set.breaker.reset();
      fail(set.breaker, 1);
      return set.breaker.snapshot();
    });
    for (const snapshot of await Promise.all(states)) expect(snapshot).toMatchObject({ state: "closed", calls: 1 });
  });
});

describe("reset", () => {
  test("of an open one lets calls pass at once, and its open time starts anew", async () => {
    const set = aBreaker();
    await toTrial(set);
    fail(set.breaker);
    expect(set.breaker.snapshot().retryAfterMs).toBe(2_000);
    set.breaker.reset();
    open(set);
    expect(set.breaker.snapshot().retryAfterMs).toBe(1_000);
  });

  test("of a closed one drops what is under way", () => {
    const { breaker } = aBreaker();
    const permits = begin(breaker, 3);
    breaker.reset();
    for (const permit of permits) permit.failure();
    expect(breaker.snapshot()).toMatchObject({ state: "closed", calls: 0 });
  });

  test("of one whose trials are under way frees their places", async () => {
    const set = aBreaker();
    await toTrial(set);
    const trial = granted(set.breaker);
    set.breaker.reset();
    trial.failure();
    open(set);
    expect(statesOf(set.told)).toEqual(["open", "half-open", "closed", "open"]);
  });
});

describe("a permit", () => {
  test.each(["success", "failure", "ignore"] as const)("that %s settled does nothing more", (first) => {
    const { breaker } = aBreaker({ minimumCalls: 20 });
    const permit = granted(breaker);
    permit[first]();
    const counted = breaker.snapshot();
    permit.success();
    permit.failure();
    permit.ignore();
    expect(breaker.snapshot()).toEqual(counted);
  });

  test("that was given back as ignored leaves no room for a second", async () => {
    const set = aBreaker();
    await toTrial(set);
    const trial = granted(set.breaker);
    trial.ignore();
    trial.ignore();
    begin(set.breaker, 1);
    expect(rejection(set.breaker).state).toBe("half-open");
  });
});

describe("whoever is told of a change", () => {
  /** A breaker that does something when it comes to a state. */
  function reacting(to: string, react: (breaker: Breaker) => void) {
    const clock = fakeClock();
    const options = resolveBreaker({ minimumCalls: 2, openMs: 1_000, trials: 2 });
    const breaker: Breaker = new Breaker(options, clock, MIDDLE, (told) => told.to === to && react(breaker));
    return { breaker, clock, told: [] };
  }

  function refuse(): never {
    throw new Error("told");
  }

  test("may settle other permits: they are of an earlier state", () => {
    const set = reacting("open", () => late.failure());
    const late = granted(set.breaker);
    open(set);
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", calls: 2, failures: 2 });
  });

  test("may settle the other trial", async () => {
    const late: BreakerPermit[] = [];
    const set = reacting("open", () => late.pop()?.success());
    await toTrial(set);
    const [one, ...others] = begin(set.breaker, 2);
    late.push(...others);
    one?.failure();
    expect(late).toEqual([]);
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", trials: 0, retryAfterMs: 2_000 });
  });

  test.each([
    ["reset", "closed"],
    ["forceClosed", "forced-closed"],
    ["disable", "disabled"],
  ] as const)("may let calls pass by %s as soon as it is half-open", async (react, state) => {
    const set = reacting("half-open", (breaker) => breaker[react]());
    await toTrial(set);
    succeed(set.breaker, 10);
    expect(set.breaker.snapshot().state).toBe(state);
  });

  test("may force it open as soon as it is half-open", async () => {
    const set = reacting("half-open", (breaker) => breaker.forceOpen());
    await toTrial(set);
    expect(rejection(set.breaker)).toMatchObject({ state: "forced-open" });
  });

  test("may take a trial itself, which counts as one", async () => {
    const set = reacting("half-open", (breaker) => begin(breaker, 1));
    await toTrial(set);
    begin(set.breaker, 1);
    expect(rejection(set.breaker)).toMatchObject({ state: "half-open" });
    expect(set.breaker.snapshot().trials).toBe(2);
  });

  test("may throw: it has changed all the same, and goes on", async () => {
    const set = reacting("open", refuse);
    expect(() => open(set)).toThrow("told");
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", retryAfterMs: 1_000 });
    await set.clock.advance(1_000);
    const [one, other] = begin(set.breaker, 2);
    expect(() => one?.failure()).toThrow("told");
    other?.failure();
    await set.clock.advance(2_000);
    succeed(set.breaker, 2);
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", trials: 0 });
  });

  test("may throw though a trial was to be given: its place stays free", async () => {
    const reactions = [refuse];
    const set = reacting("half-open", () => reactions.pop()?.());
    await toTrial(set);
    expect(() => set.breaker.tryAcquire()).toThrow("told");
    succeed(set.breaker, 2);
    expect(set.breaker.snapshot().state).toBe("closed");
  });
});

describe("a clock that knows an instant of late", () => {
  /** A breaker with a slow limit of 100 ms on a clock whose recent instant is so far behind. */
  function behind(behindMs: number) {
    const clock = fakeClock();
    const looks = { precise: 0 };
    const now = () => {
      looks.precise += 1;
      return clock.now();
    };
    const options = resolveBreaker({ slowMs: 100, minimumCalls: 1, slowRatio: 1 });
    const breaker = new Breaker(options, { now, recent: () => clock.now() - behindMs }, () => 0.5);
    return { clock, breaker, looks };
  }

  test.each([
    [0, 100, "closed"],
    [0, 101, "open"],
    [30, 100, "closed"],
    [30, 101, "open"],
    // The process stood still since the last beat: nobody can say that the call was slow.
    [200, 230, "closed"],
  ])("%d ms behind, a success after %d ms leaves it %s", async (behindMs, tookMs, state) => {
    const { clock, breaker } = behind(behindMs);
    const permit = granted(breaker);
    await clock.advance(tookMs);
    permit.success();
    expect(breaker.snapshot().state).toBe(state);
  });

  test("spares it a look where a success cannot have been slow", async () => {
    const { clock, breaker, looks } = behind(30);
    const permits = [1, 2].map(() => granted(breaker));
    looks.precise = 0;
    await clock.advance(70);
    permits[0]?.success();
    expect(looks.precise).toBe(0);
    await clock.advance(1);
    permits[1]?.success();
    expect(looks.precise).toBe(1);
  });
});

describe("settings", () => {
  test("one call is enough where the minimum is one", () => {
    const { breaker } = aBreaker({ minimumCalls: 1 });
    fail(breaker);
    expect(breaker.snapshot().state).toBe("open");
  });

  test("a ratio of 1 opens when all failed, and not when one of a hundred did not", () => {
    const { breaker } = aBreaker({ failureRatio: 1, minimumCalls: 100 });
    succeed(breaker);
    fail(breaker, 99);
    expect(breaker.snapshot().state).toBe("closed");
    breaker.reset();
    fail(breaker, 100);
    expect(breaker.snapshot().state).toBe("open");
  });

  test("a tiny ratio opens at the first failure, and not without one", () => {
    const { breaker } = aBreaker({ failureRatio: 1e-6, minimumCalls: 1 });
    succeed(breaker, 1_000);
    expect(breaker.snapshot().state).toBe("closed");
    fail(breaker);
    expect(breaker.snapshot()).toMatchObject({ state: "open", calls: 1_001 });
  });

  test("a tiny ratio counts a million calls exactly", () => {
    const { breaker } = aBreaker({ failureRatio: 0.000002, minimumCalls: 1_000_000 });
    fail(breaker, 2);
    succeed(breaker, 999_998);
    expect(breaker.snapshot()).toMatchObject({ state: "open", calls: 1_000_000, failures: 2 });
  });

  test("a window without an end counts what was long ago", async () => {
    const { breaker, clock } = aBreaker({ windowMs: Number.POSITIVE_INFINITY });
    fail(breaker);
    await clock.advance(10_000 * HOUR);
    fail(breaker);
    expect(breaker.snapshot().state).toBe("open");
  });

  test("a slow limit of 0 takes every call that takes time for slow", async () => {
    const set = aBreaker();
    const use = { slowMs: 0 };
    granted(set.breaker, use).success();
    const [permit] = begin(set.breaker, 1, use);
    await set.clock.advance(0.001);
    permit?.success();
    expect(set.breaker.snapshot()).toMatchObject({ calls: 2, slow: 1 });
  });

  test("without a slow limit nothing is slow", async () => {
    const set = aBreaker();
    await take(set, 100 * HOUR);
    expect(set.breaker.snapshot()).toMatchObject({ calls: 1, slow: 0 });
  });

  test("an attempt's own slow limit goes before the breaker's", async () => {
    const set = aBreaker({ slowMs: 10, minimumCalls: 20 });
    const permits = [granted(set.breaker), granted(set.breaker, { slowMs: 30 }), granted(set.breaker, { slowMs: 5 })];
    await set.clock.advance(20);
    for (const permit of permits) permit.success();
    expect(set.breaker.snapshot()).toMatchObject({ calls: 3, slow: 2 });
  });

  test("an open time without bound stays open", async () => {
    const set = aBreaker({ openMs: Number.POSITIVE_INFINITY, maxOpenMs: Number.POSITIVE_INFINITY });
    open(set);
    await set.clock.advance(100_000 * HOUR);
    expect(rejection(set.breaker)).toMatchObject({ state: "open", retryAfterMs: Number.POSITIVE_INFINITY });
  });

  test.each([0.1, 1_234.567, 98_765_432.1])("time may start at %d", async (now) => {
    const set = aBreaker({}, MIDDLE, fakeClock({ now }));
    open(set);
    await set.clock.advance(999);
    rejection(set.breaker);
    await set.clock.advance(1.001);
    succeed(set.breaker);
    expect(statesOf(set.told)).toEqual(["open", "half-open", "closed"]);
  });

  test("chance is asked once for each opening", async () => {
    const set = aBreaker({}, scripted(0, 0.999));
    await toTrial(set);
    expect(set.told[0]?.openMs).toBe(800);
    fail(set.breaker);
    expect(set.told.at(-1)?.openMs).toBeCloseTo(2_399.2, 6);
  });
});
