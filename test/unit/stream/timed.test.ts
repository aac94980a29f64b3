import { setImmediate } from "node:timers/promises";
import { batch, timeoutBetween } from "bowline/stream";
import { describe, expect, test } from "vitest";
import { fakeClock } from "../../../src/testing/index.ts";
import { MessageSource, readAll, sourceOf } from "../../support/message-source.ts";

describe("batch", () => {
  test("hands over full ones, and the rest when the source ends", async () => {
    expect(await readAll(batch(sourceOf(1, 2, 3, 4, 5), 2, 100))).toEqual([[1, 2], [3, 4], [5]]);
  });

  test("hands over what is there before the source's error", async () => {
    const source = new MessageSource<number>();
    source.give(1);
    source.fail("the source");
    const stream = batch(source, 2, 100);
    expect((await stream.next()).value).toEqual([1]);
    await expect(stream.next()).rejects.toBe("the source");
  });

  test("hands over when its first message has waited: not at 99 ms, at 100 ms", async () => {
    const [source, clock] = [new MessageSource<number>(), fakeClock()];
    const read = batch(source, 10, 100, { clock }).next();
    let batched: unknown;
    void read.then(({ value }) => {
      batched = value;
    });
    await clock.advance(500);
    source.give(1);
    await clock.advance(60);
    source.give(2);
    await clock.advance(39);
    expect(batched).toBe(undefined);
    await clock.advance(1);
    expect(batched).toEqual([1, 2]);
    expect(clock.pending).toBe(0);
  });

  test("what came while nobody waited is handed over at once, if its time was over by then", async () => {
    const [source, clock] = [new MessageSource<number>(), fakeClock()];
    const stream = batch(source, 10, 100, { clock });
    source.give(1);
    const first = stream.next();
    await clock.advance(100);
    expect((await first).value).toEqual([1]);
    // The source was asked for this one while somebody waited.
    source.give(2);
    await clock.advance(100);
    expect(clock.pending).toBe(0);
    expect((await stream.next()).value).toEqual([2]);
  });

  test("reads nothing while nobody waits, once a batch is full", async () => {
    const source = sourceOf(1, 2, 3, 4, 5);
    const stream = batch(source, 2, 100);
    await stream.next();
    await setImmediate();
    expect(source.pulls).toBe(2);
  });

  test("waits for full ones if it may wait for ever", async () => {
    const [source, clock] = [new MessageSource<number>(), fakeClock()];
    const stream = batch(source, 2, Number.POSITIVE_INFINITY, { clock });
    const read = stream.next();
    source.give(1);
    await clock.advance(1_000_000);
    expect(clock.pending).toBe(0);
    source.give(2);
    expect((await read).value).toEqual([1, 2]);
    await stream.return();
  });
});

describe("timeoutBetween", () => {
  test("fails when somebody has waited: not at 99 ms, at 100 ms", async () => {
    const [source, clock] = [new MessageSource<number>({ settlesOnReturn: false }), fakeClock()];
    const stream = timeoutBetween(source, 100, { clock });
    let failure: unknown;
    stream.next().catch((error: unknown) => {
      failure = error;
    });
    await clock.advance(99);
    expect(failure).toBe(undefined);
    await clock.advance(1);
    expect(failure).toMatchObject({ reason: "STALLED", message: "UNAVAILABLE: no message came for 100 ms" });
    expect([source.returns, clock.pending]).toEqual([1, 0]);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("each wait counts for itself", async () => {
    const [source, clock] = [new MessageSource<number>(), fakeClock()];
    const stream = timeoutBetween(source, 100, { clock });
    for (let message = 0; message < 5; message += 1) {
      const read = stream.next();
      await clock.advance(90);
      source.give(message);
      expect((await read).value).toBe(message);
    }
    const last = expect(stream.next()).rejects.toMatchObject({ reason: "STALLED" });
    await clock.advance(99);
    expect(source.returns).toBe(0);
    await clock.advance(1);
    await last;
  });

  test("a slow reader is no timeout", async () => {
    const [source, clock] = [sourceOf(1, 2), fakeClock()];
    const stream = timeoutBetween(source, 100, { clock });
    await stream.next();
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
    expect((await stream.next()).value).toBe(2);
    await stream.return();
  });

  test("has one timer for many messages", async () => {
    const clock = fakeClock();
    let timers = 0;
    const counting = {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      setTimer: (delayMs: number, fire: () => void) => {
        timers += 1;
        return clock.setTimer(delayMs, fire);
      },
    };
    await readAll(
      timeoutBetween(sourceOf(...Array.from({ length: 100 }, (_, index) => index)), 100, { clock: counting }),
    );
    expect([timers, clock.pending]).toEqual([1, 0]);
  });

  /** A clock that is told for how long the process stood still in all. */
  function standing() {
    const clock = fakeClock();
    const stood = { stillMs: 0 };
    const standing = {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      setTimer: (delayMs: number, fire: () => void) => clock.setTimer(delayMs, fire),
      stalledMs: () => stood.stillMs,
    };
    return { clock, standing, stood };
  }

  test("time for which the process stood still does not count, however often it does", async () => {
    const source = new MessageSource<number>();
    const { clock, standing: given, stood } = standing();
    const read = timeoutBetween(source, 100, { clock: given }).next();
    const failed = expect(read).rejects.toMatchObject({ reason: "STALLED" });
    await clock.advance(50);
    stood.stillMs = 80;
    await clock.advance(60);
    stood.stillMs = 120;
    await clock.advance(109);
    expect(source.returns).toBe(0);
    await clock.advance(1);
    await failed;
  });

  test("time for which it stood still before somebody waited excuses nothing", async () => {
    const source = new MessageSource<number>();
    const { clock, standing: given, stood } = standing();
    const stream = timeoutBetween(source, 100, { clock: given });
    const first = stream.next();
    stood.stillMs = 1_000;
    await clock.advance(20);
    source.give(1);
    await first;
    const failed = expect(stream.next()).rejects.toMatchObject({ reason: "STALLED" });
    await clock.advance(99);
    expect(source.returns).toBe(0);
    await clock.advance(1);
    await failed;
  });
});
