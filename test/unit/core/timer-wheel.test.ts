import { describe, expect, test, vi } from "vitest";
import { TICK_MS } from "../../../src/core/timer-wheel.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { SteppedWheel } from "../../support/stepped-wheel.ts";

const DAY = 86_400_000;

describe("a timer", () => {
  test.each([
    ["at a tick's end", 0, 300, 300],
    ["within a tick: at its end", 0, 291, 300],
    ["a fraction after a tick's end: a tick later", 0, 300.001, 310],
    ["set within a tick", 7, 300, 310],
    ["a tick before the wheel's horizon", 0, 10_230, 10_230],
    ["at the wheel's horizon", 0, 10_240, 10_240],
    ["far behind it", 3, DAY, DAY + 10],
  ])("fires %s", (_, now, delayMs, at) => {
    const time = new SteppedWheel(now);
    const fire = vi.fn();
    time.setTimer(delayMs, fire);
    time.advance(at - now - 1);
    expect(fire).not.toHaveBeenCalled();
    time.advance(1);
    expect(fire).toHaveBeenCalledOnce();
    time.advance(20_000);
    expect(fire).toHaveBeenCalledOnce();
  });

  test("fires no earlier than the next tick, however short", () => {
    const time = new SteppedWheel(100);
    const fired: number[] = [];
    for (const delayMs of [0, -5, 1]) time.setTimer(delayMs, () => fired.push(time.now));
    expect(fired).toEqual([]);
    time.advance(10);
    expect(fired).toEqual([110, 110, 110]);
  });

  test("fires in the order of ticks, also where the alarm is very late", () => {
    const time = new SteppedWheel();
    const fired: number[] = [];
    for (const delayMs of [30_000, 200, 15_000, 100, 20_000]) time.setTimer(delayMs, () => fired.push(delayMs));
    time.advance(DAY, DAY / 2);
    expect(fired).toEqual([100, 200, 15_000, 20_000, 30_000]);
  });

  test.each([5, 50, 500])("fires after those set before it that are due with it, also where they are %i", (count) => {
    const time = new SteppedWheel();
    const fired: number[] = [];
    const timers = Array.from({ length: count }, (_, n) => time.setTimer(300, () => fired.push(n)));
    for (const timer of timers.filter((_, n) => n % 3 === 0)) timer.cancel();
    time.advance(299);
    expect(fired).toEqual([]);
    time.advance(1);
    expect(fired).toEqual(Array.from(timers.keys()).filter((n) => n % 3 !== 0));
    expect([time.wheel.waiting, time.held]).toEqual([0, false]);
  });

  test("does not fire once it is cancelled, whether near or far", () => {
    const time = new SteppedWheel();
    const timers = [200, 10_240, DAY].map((delayMs) => time.setTimer(delayMs, () => expect.unreachable()));
    time.advance(190);
    for (const timer of timers) timer.cancel();
    time.advance(2 * DAY);
    expect([time.wheel.waiting, time.thrown]).toEqual([0, []]);
  });

  test("is cancelled once, and without effect after it fired", () => {
    const time = new SteppedWheel();
    const fired = time.setTimer(100, () => {});
    const cancelled = time.setTimer(500, () => expect.unreachable());
    const waits = time.setTimer(500, () => {});
    time.advance(100);
    fired.cancel();
    cancelled.cancel();
    cancelled.cancel();
    expect([time.wheel.waiting, time.held]).toEqual([1, true]);
    waits.cancel();
    expect([time.wheel.waiting, time.held]).toEqual([0, false]);
  });
});

describe("a callback", () => {
  test("may cancel others that are due with it, and itself", () => {
    const time = new SteppedWheel();
    const fired: string[] = [];
    const first = time.setTimer(100, () => {
      fired.push("first");
      first.cancel();
      second.cancel();
    });
    const second = time.setTimer(100, () => fired.push("second"));
    time.setTimer(100, () => fired.push("third"));
    time.advance(100);
    expect(fired).toEqual(["first", "third"]);
    expect([time.wheel.waiting, time.held]).toEqual([0, false]);
  });

  test("may set others, which fire in their turn", () => {
    const time = new SteppedWheel();
    const fired: number[] = [];
    const again = () => {
      fired.push(time.now);
      if (fired.length < 3) time.setTimer(100, again);
    };
    time.setTimer(100, again);
    time.advance(1_000);
    expect(fired).toEqual([100, 200, 300]);
    expect(time.held).toBe(false);
  });

  test("may set many others, which fire in their turn, in the order of their ticks", () => {
    const time = new SteppedWheel();
    const fired: number[] = [];
    const delays = Array.from({ length: 100 }, (_, n) => 110 + ((n * 37) % 100) * 10);
    time.setTimer(100, () => {
      for (const delayMs of delays) time.setTimer(delayMs, () => fired.push(delayMs));
    });
    time.advance(100);
    expect([time.alarmIn, time.wheel.waiting]).toEqual([110, 100]);
    time.advance(1_100);
    expect(fired).toEqual(delays.toSorted((a, b) => a - b));
    expect(time.held).toBe(false);
  });

  test("that throws does not stop those due with it, nor those due later", () => {
    const time = new SteppedWheel();
    const fired: string[] = [];
    const fail = (text: string) => () => {
      throw new Error(text);
    };
    time.setTimer(100, fail("one"));
    time.setTimer(100, () => fired.push("with it"));
    time.setTimer(100, fail("two"));
    time.setTimer(500, () => fired.push("later"));
    time.advance(100);
    expect(time.thrown).toEqual([new Error("one"), new Error("two")]);
    expect(fired).toEqual(["with it"]);
    time.advance(400);
    expect(fired).toEqual(["with it", "later"]);
    expect([time.wheel.waiting, time.held]).toEqual([0, false]);
  });

  test("that throws and was the last leaves no alarm", () => {
    const time = new SteppedWheel();
    time.setTimer(100, () => {
      throw new Error("last");
    });
    time.advance(100);
    expect([time.thrown.length, time.held, time.alarmIn]).toEqual([1, false, Number.POSITIVE_INFINITY]);
  });
});

describe("the alarm", () => {
  test("is set for the first timer, and for an earlier one; not for a later one", () => {
    const time = new SteppedWheel();
    expect(time.alarmIn).toBe(Number.POSITIVE_INFINITY);
    time.setTimer(500, () => {});
    expect(time.alarmIn).toBe(500);
    time.setTimer(200, () => {});
    expect(time.alarmIn).toBe(200);
    time.setTimer(300, () => {});
    expect([time.alarmIn, time.count.set]).toEqual([200, 2]);
    time.advance(200);
    expect(time.alarmIn).toBe(100);
  });

  test("holds the process while something waits, and is not set anew for each timer that is taken back", () => {
    const time = new SteppedWheel();
    for (let n = 0; n < 1_000; n++) {
      const timer = time.setTimer(2_000, () => expect.unreachable());
      expect(time.held).toBe(true);
      timer.cancel();
      expect(time.held).toBe(false);
      time.advance(1);
    }
    expect(time.count).toEqual({ set: 1, wentOff: 0 });
    time.advance(2_000);
    expect(time.count).toEqual({ set: 1, wentOff: 1 });
    expect(time.alarmIn).toBe(Number.POSITIVE_INFINITY);
  });

  test("that went off with nothing due is set for what waits", () => {
    const time = new SteppedWheel();
    const fired: number[] = [];
    time.setTimer(100, () => expect.unreachable()).cancel();
    time.setTimer(900, () => fired.push(time.now));
    time.advance(2_000);
    expect(fired).toEqual([900]);
    expect(time.count).toEqual({ set: 2, wentOff: 2 });
  });

  test("that goes off a moment early fires nothing, and is set again", () => {
    const time = new SteppedWheel();
    const fire = vi.fn();
    time.setTimer(100, fire);
    time.now = 99.5;
    time.wheel.advance(99.5);
    expect(fire).not.toHaveBeenCalled();
    expect(time.alarmIn).toBe(0.5);
    time.advance(0.5);
    expect(fire).toHaveBeenCalledOnce();
  });

  test("is never set for longer than Node's timers wait", () => {
    const time = new SteppedWheel();
    time.setTimer(60 * DAY, () => expect.unreachable());
    expect(time.alarmIn).toBe(10_230);
  });

  test("goes off every ten seconds where all that waits is far away", () => {
    const time = new SteppedWheel();
    time.setTimer(3_600_000, () => {});
    time.advance(3_600_000);
    expect(time.wheel.waiting).toBe(0);
    expect(time.count.wentOff).toBeLessThanOrEqual(360);
  });

  test("is set anew where the old one was lost while nothing waited", () => {
    const time = new SteppedWheel();
    time.setTimer(500, () => {}).cancel();
    time.lost = true;
    time.setTimer(700, () => {});
    expect([time.alarmIn, time.held]).toEqual([700, true]);
  });
});

test("10,000 cancelled timers leave nothing behind, even where somebody keeps them", async () => {
  const time = new SteppedWheel();
  const kept: unknown[] = [];
  const requests: WeakRef<object>[] = [];
  for (let n = 0; n < 10_000; n++) {
    const request = { bytes: new Uint8Array(1_000) };
    requests.push(new WeakRef(request));
    kept.push(time.setTimer(100 + ((n * 7) % 20_000), () => request.bytes.fill(1)));
  }
  expect(time.wheel.waiting).toBe(10_000);
  for (const timer of kept as { cancel(): void }[]) timer.cancel();
  expect([time.wheel.waiting, time.held]).toEqual([0, false]);
  await collectGarbage();
  expect(requests.filter((request) => request.deref()).length).toBe(0);
  expect(kept.length).toBe(10_000);
  time.advance(DAY);
  expect(time.count.wentOff).toBe(1);
});

test("a tick is as long as the documents say", () => {
  expect(TICK_MS).toBe(10);
});
