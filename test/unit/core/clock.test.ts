import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type CallContext, currentCall, runInCall } from "../../../src/core/call-context.ts";
import { SHORT_DELAY_MS, sleep, systemClock } from "../../../src/core/clock.ts";
import { systemRandom } from "../../../src/core/random.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { mustRun, ROOT } from "../../support/run.ts";

describe("sleep", () => {
  test("does not end 1 ms early, and ends at its time", async () => {
    const clock = fakeClock();
    const woke = vi.fn();
    void sleep(clock, 10).then(woke);
    await clock.advance(9);
    expect(woke).not.toHaveBeenCalled();
    await clock.advance(1);
    expect(woke).toHaveBeenCalledOnce();
  });

  test("ends with the signal's reason as soon as it aborts, and takes its timer back", async () => {
    const clock = fakeClock();
    const controller = new AbortController();
    const slept = sleep(clock, 10, controller.signal);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(slept).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test("does not begin if the signal aborted before", async () => {
    const clock = fakeClock();
    await expect(sleep(clock, 0, AbortSignal.abort("gone"))).rejects.toBe("gone");
    expect(clock.pending).toBe(0);
  });

  test("leaves no listener on a signal that outlives it", async () => {
    const clock = fakeClock();
    const { signal } = new AbortController();
    const slept = Promise.all([sleep(clock, 10, signal), sleep(clock, 20, signal)]);
    await clock.advance(20);
    await slept;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("the system's clock", () => {
  const day = 86_400_000;

  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  test("tells monotonic time and wall time", () => {
    vi.setSystemTime(1_000_000);
    const before = systemClock.now();
    vi.advanceTimersByTime(50);
    expect(systemClock.now() - before).toBe(50);
    expect(systemClock.wallTime()).toBe(1_000_050);
  });

  test.each([
    ["a short delay", 10, 10],
    ["a fraction, rounded up", 9.2, 10],
    ["the longest delay that is kept to the millisecond", 99, 99],
    ["a delay, to the end of a tick", 291, 300],
    ["a long delay", 60_001, 60_010],
  ])("waits for %s", (_, delayMs, waitedMs) => {
    const fire = vi.fn();
    systemClock.setTimer(delayMs, fire);
    vi.advanceTimersByTime(waitedMs - 1);
    expect(fire).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fire).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("does not fire before its time where Node does", () => {
    const now = vi.spyOn(performance, "now").mockReturnValue(1_000.9);
    const fire = vi.fn();
    systemClock.setTimer(10, fire);
    now.mockReturnValue(1_010.2);
    vi.advanceTimersByTime(10);
    expect(fire).not.toHaveBeenCalled();
    now.mockReturnValue(1_011.2);
    vi.advanceTimersByTime(1);
    expect(fire).toHaveBeenCalledOnce();
  });

  test.each([
    [50, 10, 40],
    [400, 100, 300],
  ])("waits %d ms since %d ms ago for %d ms", (delayMs, agoMs, waitedMs) => {
    vi.advanceTimersByTime(agoMs);
    const fire = vi.fn();
    systemClock.setTimer(delayMs, fire, systemClock.now() - agoMs);
    vi.advanceTimersByTime(waitedMs - 1);
    expect(fire).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fire).toHaveBeenCalledOnce();
  });

  test.each([0, -5])("fires at once for %d ms, yet not before it returned", (delayMs) => {
    const fire = vi.fn();
    systemClock.setTimer(delayMs, fire);
    expect(fire).not.toHaveBeenCalled();
    vi.advanceTimersByTime(0);
    expect(fire).toHaveBeenCalledOnce();
  });

  test("sets no timer for Infinity", () => {
    systemClock.setTimer(Number.POSITIVE_INFINITY, () => expect.unreachable()).cancel();
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([
    ["a short one", 10, 5],
    ["a long one", 300, 200],
    ["one that is longer than Node's timers wait", 60 * day, day / 100],
  ])("takes a timer back: %s", (_, delayMs, afterMs) => {
    const timer = systemClock.setTimer(delayMs, () => expect.unreachable());
    vi.advanceTimersByTime(afterMs);
    timer.cancel();
    timer.cancel();
    vi.advanceTimersByTime(60_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("survives that somebody else's time goes away", () => {
    systemClock.setTimer(3_000, () => expect.unreachable()).cancel();
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const fire = vi.fn();
    systemClock.setTimer(4_000, fire);
    vi.advanceTimersByTime(4_010);
    expect(fire).toHaveBeenCalledOnce();
  });

  test.each([10, 300])("a callback that throws after %d ms stops no other", (delayMs) => {
    const fire = vi.fn();
    systemClock.setTimer(delayMs, () => {
      throw new Error("a timer's own");
    });
    systemClock.setTimer(delayMs, fire);
    expect(() => vi.advanceTimersByTime(delayMs + 10)).toThrow("a timer's own");
    vi.advanceTimersByTime(10);
    expect(fire).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the async context", () => {
  const call = {} as CallContext;
  const own = new AsyncLocalStorage<string>();

  test.each([0, SHORT_DELAY_MS])("of a timer of %d ms is that of no call", async (delayMs) => {
    const seen = await new Promise((resolve) => {
      runInCall(call, () =>
        own.run("a user's", () => systemClock.setTimer(delayMs, () => resolve([currentCall(), own.getStore()]))),
      );
    });
    expect(seen).toEqual([undefined, undefined]);
  });

  test.each([0, SHORT_DELAY_MS])("is the caller's again after a sleep of %d ms", async (delayMs) => {
    const seen = runInCall(call, async () => {
      await sleep(systemClock, delayMs);
      return currentCall();
    });
    expect(await seen).toBe(call);
  });
});

test("a timer holds the process until it fires or is taken back, and its error is the process's", () => {
  const program = `
    import { systemClock } from "./src/core/clock.ts";
    const holding = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const seen = [holding()];
    process.on("uncaughtException", ({ message }) => seen.push(message));
    process.on("exit", () => console.log(JSON.stringify(seen)));
    for (const delayMs of [50, 5_000]) {
      const timers = [1, 2].map(() => systemClock.setTimer(delayMs, () => seen.push("fired in error")));
      seen.push(holding() > 0);
      for (const timer of timers) timer.cancel();
      await new Promise((resolve) => setTimeout(resolve, 50));
      seen.push(holding());
    }
    systemClock.setTimer(60_000, () => {}).cancel();
    systemClock.setTimer(150, () => { throw new Error("first"); });
    systemClock.setTimer(150, () => seen.push("second"));
  `;
  const { stdout, stderr } = mustRun("node", ["--input-type=module-typescript", "--eval", program], { cwd: ROOT });
  expect(JSON.parse(stdout)).toEqual([0, true, 0, true, 0, "first", "second"]);
  expect(stderr).toBe("");
});

test("the system's chance stays from 0 up to, not including, 1", () => {
  const drawn = Array.from({ length: 100 }, systemRandom);
  expect(drawn.every((value) => value >= 0 && value < 1)).toBe(true);
});

test("the machine's clock notices for how long the event loop was blocked", async () => {
  const before = systemClock.stalledMs?.() ?? Number.NaN;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const begin = performance.now();
  while (performance.now() - begin < 200);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect((systemClock.stalledMs?.() ?? Number.NaN) - before).toBeGreaterThan(150);
});

test("it does so in the turn that was blocked, before what is begun in it", async () => {
  const before = systemClock.stalledMs?.() ?? Number.NaN;
  const begin = performance.now();
  while (performance.now() - begin < 200);
  expect((systemClock.stalledMs?.() ?? Number.NaN) - before).toBeGreaterThan(150);
});

describe("a standstill, on time that is the test's", () => {
  const stalledMs = (at?: number) => systemClock.stalledMs?.(at) ?? Number.NaN;

  /** Stands at 1,000 when the clock begins to look. */
  function looking() {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
    const now = vi.spyOn(performance, "now").mockReturnValue(1_000);
    return { now, before: stalledMs() };
  }
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test.each([
    [1_030, 0],
    [1_031, 11],
    [1_500, 480],
  ])("is told at %d before the beat of 1,020 has come as %d ms, and once", (at, ms) => {
    const { now, before } = looking();
    now.mockReturnValue(at);
    expect(stalledMs() - before).toBe(ms);
    expect(stalledMs() - before).toBe(ms);
    vi.advanceTimersByTime(20);
    expect(stalledMs() - before).toBe(ms);
  });

  test("is told in full, however often somebody asks meanwhile", () => {
    const { now, before } = looking();
    for (let at = 1_050; at <= 1_600; at += 50) {
      now.mockReturnValue(at);
      stalledMs();
    }
    vi.advanceTimersByTime(20);
    expect(stalledMs() - before).toBe(580);
  });

  test("is told until an instant that has been looked at", () => {
    const { now, before } = looking();
    now.mockReturnValue(9_999);
    expect(stalledMs(1_010) - before).toBeCloseTo(0);
    expect(stalledMs(1_500) - before).toBeCloseTo(480);
    expect(stalledMs(1_400) - before).toBeCloseTo(480);
  });
});

test("an instant of late is not ahead of now, and follows it", async () => {
  const first = systemClock.recent?.() ?? Number.NaN;
  expect(first).toBeLessThanOrEqual(systemClock.now());
  await vi.waitFor(() => expect(systemClock.recent?.() ?? Number.NaN).toBeGreaterThan(first), 10_000);
  expect(systemClock.recent?.()).toBeLessThanOrEqual(systemClock.now());
});

test("an instant of late comes from the real timers again once a test has put them back", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  systemClock.recent?.();
  vi.useRealTimers();
  await new Promise((resolve) => setTimeout(resolve, 200));
  await vi.waitFor(() => expect(systemClock.now() - (systemClock.recent?.() ?? 0)).toBeLessThan(150), 10_000);
});
