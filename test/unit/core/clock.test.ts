import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { sleep, systemClock } from "../../../src/core/clock.ts";
import { systemRandom } from "../../../src/core/random.ts";
import { fakeClock } from "../../../src/testing/index.ts";

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
    ["an instant", 10, 10],
    ["a fraction, rounded up", 9.2, 10],
    ["the longest delay that Node takes", 2_147_483_647, 2_147_483_647],
    ["more than Node takes", 60 * day, 60 * day],
  ])("waits for %s", (_, delayMs, waitedMs) => {
    const fire = vi.fn();
    systemClock.setTimer(delayMs, fire);
    vi.advanceTimersByTime(waitedMs - 1);
    expect(fire).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fire).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
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
    ["before", 10, 0],
    ["in a later step of a long one", 60 * day, 40 * day],
  ])("takes a timer back %s", (_, delayMs, afterMs) => {
    const timer = systemClock.setTimer(delayMs, () => expect.unreachable());
    vi.advanceTimersByTime(afterMs);
    timer.cancel();
    timer.cancel();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(60 * day);
  });
});

test("the system's chance stays from 0 up to, not including, 1", () => {
  const drawn = Array.from({ length: 100 }, systemRandom);
  expect(drawn.every((value) => value >= 0 && value < 1)).toBe(true);
});
