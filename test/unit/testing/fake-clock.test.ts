import { describe, expect, test } from "vitest";
import { fakeClock } from "../../../src/testing/index.ts";

describe("fakeClock", () => {
  test("starts where it is told, and stands still by itself", () => {
    const clock = fakeClock({ now: 500, wallTime: 1_000_000 });
    expect([clock.now(), clock.wallTime()]).toEqual([500, 1_000_000]);
    expect([clock.now(), clock.wallTime()]).toEqual([500, 1_000_000]);
  });

  test("starts at 0 and the first moment of 2026 unless told otherwise", () => {
    const clock = fakeClock();
    expect(clock.now()).toBe(0);
    expect(new Date(clock.wallTime()).toISOString()).toBe("2026-01-01T00:00:00.000Z");
  });

  test("moves both times on together, fractions included", async () => {
    const clock = fakeClock({ wallTime: 1_000 });
    await clock.advance(0.5);
    await clock.advance(10);
    expect([clock.now(), clock.wallTime()]).toEqual([10.5, 1_010.5]);
  });

  test("jumpWall moves wall time alone, back and forth", async () => {
    const clock = fakeClock({ wallTime: 1_000 });
    clock.jumpWall(-600);
    expect([clock.now(), clock.wallTime()]).toEqual([0, 400]);
    await clock.advance(5);
    clock.jumpWall(1_000);
    expect([clock.now(), clock.wallTime()]).toEqual([5, 1_405]);
  });

  test("a timer does not fire 1 ms early, and fires at its time", async () => {
    const clock = fakeClock();
    const fired: number[] = [];
    clock.setTimer(10, () => fired.push(clock.now()));
    await clock.advance(9);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual([10]);
    await clock.advance(100);
    expect(fired).toEqual([10]);
  });

  test("a timer that began before waits for the rest", async () => {
    const clock = fakeClock({ now: 100 });
    const fired: number[] = [];
    clock.setTimer(30, () => fired.push(clock.now()), 80);
    clock.setTimer(5, () => fired.push(clock.now()), 80);
    await clock.advance(9);
    expect(fired).toEqual([100]);
    await clock.advance(1);
    expect(fired).toEqual([100, 110]);
  });

  test("fires by due time, then in the order of making; each sees its own instant", async () => {
    const clock = fakeClock();
    const fired: string[] = [];
    for (const [name, delay] of [
      ["late", 20],
      ["first", 10],
      ["second", 10],
      ["now", 0],
      ["past", -5],
    ] as const) {
      clock.setTimer(delay, () => fired.push(`${name}@${clock.now()}`));
    }
    await clock.advance(30);
    expect(fired).toEqual(["now@0", "past@0", "first@10", "second@10", "late@20"]);
    expect(clock.now()).toBe(30);
  });

  test("fires what a timer sets on the way, if it is due in time", async () => {
    const clock = fakeClock();
    const fired: number[] = [];
    clock.setTimer(10, () => {
      clock.setTimer(10, () => fired.push(clock.now()));
      clock.setTimer(11, () => fired.push(clock.now()));
    });
    await clock.advance(20);
    expect(fired).toEqual([20]);
    expect(clock.pending).toBe(1);
  });

  test("lets promises run before, between and after timers, however long their chain", async () => {
    const clock = fakeClock();
    const order: string[] = [];
    const chain = async (name: string) => {
      for (let turn = 0; turn < 50; turn++) await null;
      order.push(name);
    };
    void chain("before");
    clock.setTimer(10, () => void chain("after the first").then(() => clock.setTimer(0, () => order.push("added"))));
    clock.setTimer(10, () => order.push("second"));
    await clock.advance(10);
    expect(order).toEqual(["before", "after the first", "second", "added"]);
  });

  test("counts the timers that wait: fired, cancelled and endless ones do not", async () => {
    const clock = fakeClock();
    const cancelled = clock.setTimer(10, () => expect.unreachable());
    clock.setTimer(5, () => {});
    clock.setTimer(Number.POSITIVE_INFINITY, () => expect.unreachable());
    expect(clock.pending).toBe(2);
    await clock.advance(5);
    expect(clock.pending).toBe(1);
    cancelled.cancel();
    cancelled.cancel();
    expect(clock.pending).toBe(0);
    await clock.advance(1e12);
  });

  test("a timer may cancel another that is due at the same instant", async () => {
    const clock = fakeClock();
    const fired: string[] = [];
    clock.setTimer(10, () => other.cancel());
    const other = clock.setTimer(10, () => fired.push("other"));
    await clock.advance(10);
    expect(fired).toEqual([]);
  });

  test("a timer that throws stops the clock there, and the clock can go on", async () => {
    const clock = fakeClock();
    const fired: number[] = [];
    clock.setTimer(10, () => {
      throw new Error("from the timer");
    });
    clock.setTimer(11, () => fired.push(clock.now()));
    await expect(clock.advance(20)).rejects.toThrow("from the timer");
    expect([clock.now(), clock.pending]).toEqual([10, 1]);
    await clock.advance(1);
    expect(fired).toEqual([11]);
  });

  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("refuses to advance by %s", async (ms) => {
    const clock = fakeClock();
    await expect(clock.advance(ms)).rejects.toThrow(new RangeError(`fakeClock: time cannot advance by ${ms} ms`));
    expect(clock.now()).toBe(0);
  });

  test("refuses a delay that is not a number", () => {
    expect(() => fakeClock().setTimer(Number.NaN, () => {})).toThrow(
      new RangeError("fakeClock: a timer's delay is not a number"),
    );
  });

  test("refuses to advance while it advances", async () => {
    const clock = fakeClock();
    const first = clock.advance(10);
    await expect(clock.advance(10)).rejects.toThrow("fakeClock: advance() is under way already; await it first");
    await first;
    expect(clock.now()).toBe(10);
  });
});
