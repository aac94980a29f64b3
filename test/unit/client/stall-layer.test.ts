import { setImmediate } from "node:timers/promises";
import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import type { Call } from "../../../src/core/call.ts";
import type { Clock } from "../../../src/core/clock.ts";
import { DONE, type MessageStream } from "../../../src/core/message-stream.ts";
import { Status } from "../../../src/core/status.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { newest, openStream } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { around, resuming, stalling } from "../../support/resuming.ts";
import { aFailure, NOTHING_LEFT, toldOf } from "../../support/retrying.ts";
import { aMethod } from "../../support/scripted.ts";

/** A stream that stalls after three intervals of 10 ms, and the attempt below it. */
function open({ hides = true, call = {} }: { readonly hides?: boolean; readonly call?: Partial<Call> } = {}) {
  const clock = fakeClock();
  const { layer, events } = stalling(clock, hides);
  return { clock, events, ...openStream(layer, call) };
}

const beat = { mark: true };
const given = (value: unknown) => ({ done: false, value });

/** Asks for a message, whatever comes of it. */
function read(stream: MessageStream): Promise<IteratorResult<unknown, undefined>> {
  const next = stream.next();
  next.catch(() => {});
  return next;
}

/** Asks for a message, and makes that known without waiting for it. */
function asked(stream: MessageStream) {
  const read = { settled: false };
  const settle = () => {
    read.settled = true;
  };
  stream.next().then(settle, settle);
  return read;
}

describe("S6 a stream on which nothing comes", () => {
  test("for three intervals is left and ends as STALLED, told once; not a millisecond before", async () => {
    const { stream, attempts, clock, told, events } = open();
    const next = read(stream);
    newest(attempts).headers(new Metadata());
    // The interval in which it was asked for does not count: three more do.
    await clock.advance(39);
    expect([told, newest(attempts).left]).toEqual([["headers"], 0]);
    await clock.advance(1);
    const error = await rejection(next);
    expect(error).toMatchObject({
      ...{ code: Status.UNAVAILABLE, reason: "STALLED", origin: "local", path: "/test.Service/server-stream" },
      details: "neither a message nor a heartbeat in 3 intervals of 10 ms",
    });
    expect([told, newest(attempts).left, clock.pending]).toEqual([["headers", "error STALLED"], 1, 0]);
    expect(toldOf(events)).toEqual([["stall", "stalled", { missed: 3, intervalMs: 10 }]]);
    expect(await stream.next()).toEqual(DONE);
    await clock.advance(1_000);
    expect([told.length, events.length, clock.pending]).toEqual([2, 1, 0]);
  });

  test("but its headers is stalled: they are no sign that it goes on", async () => {
    const { stream, attempts, clock } = open();
    const next = read(stream);
    await clock.advance(30);
    newest(attempts).headers(new Metadata());
    await clock.advance(10);
    expect(await rejection(next)).toMatchObject({ reason: "STALLED" });
  });

  test.each<[string, object]>([
    ["heartbeats", beat],
    ["messages", {}],
  ])("but %s, late in each interval, lives", async (_, message) => {
    const { stream, attempts, clock } = open();
    const reads = Array.from({ length: 20 }, () => read(stream));
    for (let n = 0; n < 20; n += 1) {
      await clock.advance(29);
      newest(attempts).message(message);
    }
    await stream.return();
    await Promise.all(reads);
    expect(clock.pending).toBe(0);
  });

  test("after a message is stalled from then on", async () => {
    const { stream, attempts, clock } = open();
    const first = read(stream);
    await clock.advance(35);
    newest(attempts).message("a");
    await first;
    const next = asked(stream);
    await clock.advance(34);
    expect(next.settled).toBe(false);
    await clock.advance(1);
    expect(next.settled).toBe(true);
  });

  test("while several wait: one gets STALLED, the others are done", async () => {
    const { stream, clock, told } = open();
    const reads = Array.from({ length: 3 }, () => read(stream));
    await clock.advance(1_000);
    const settled = await Promise.allSettled(reads);
    expect(settled.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
    expect(settled[0]).toMatchObject({ reason: { reason: "STALLED" } });
    expect(told).toEqual(["error STALLED"]);
  });

  test.each([true, false])("and several wait that see heartbeats too, or not (%s): the same", async (hides) => {
    const { stream, attempts, clock, told } = open({ hides });
    const reads = Array.from({ length: 3 }, () => read(stream));
    newest(attempts).message("a");
    await clock.advance(1_000);
    const settled = await Promise.allSettled(reads);
    expect(settled).toMatchObject([
      { status: "fulfilled", value: given("a") },
      { status: "rejected", reason: { reason: "STALLED" } },
      { status: "fulfilled", value: DONE },
    ]);
    expect(told).toEqual(["first message", "error STALLED"]);
  });
});

describe("a reader that is elsewhere", () => {
  test("is no stall, however long it stays", async () => {
    const { stream, attempts, clock } = open();
    const first = read(stream);
    newest(attempts).message("a");
    await first;
    await clock.advance(100_000);
    const second = read(stream);
    newest(attempts).message("b");
    expect(await second).toEqual(given("b"));
  });

  test("and comes back has waited for nothing yet", async () => {
    const { stream, attempts, clock } = open();
    const first = read(stream);
    newest(attempts).message("a");
    await first;
    await clock.advance(95);
    const next = asked(stream);
    await clock.advance(34);
    expect(next.settled).toBe(false);
    await clock.advance(1);
    expect(next.settled).toBe(true);
  });

  test("has no timer before its first next()", () => {
    expect(open().clock.pending).toBe(0);
  });
});

/** A clock whose timers fire when the test says so, as late as it likes. */
function late() {
  const timers = new Set<() => void>();
  const clock: Clock = {
    now: () => 0,
    wallTime: () => 0,
    setTimer: (_, fire) => {
      timers.add(fire);
      return { cancel: () => void timers.delete(fire) };
    },
  };
  const fireAll = () => {
    const due = [...timers];
    timers.clear();
    for (const fire of due) fire();
  };
  return { clock, fireAll };
}

test("a process that stood still has missed one interval, however long it was", async () => {
  const { clock, fireAll } = late();
  const { stream, attempts } = openStream(stalling(clock).layer);
  const first = read(stream);
  for (let n = 0; n < 3; n += 1) fireAll();
  newest(attempts).message("a");
  expect(await first).toEqual(given("a"));
  const next = asked(stream);
  for (let n = 0; n < 3; n += 1) fireAll();
  await setImmediate();
  expect(next.settled).toBe(false);
  fireAll();
  await setImmediate();
  expect(next.settled).toBe(true);
});

test.each([true, false])("a message that came in the turn in which it stalled is given first (%s)", async (hides) => {
  const { clock, fireAll } = late();
  const { stream, attempts, told } = openStream(stalling(clock, hides).layer);
  const reads = [read(stream), read(stream)];
  for (let n = 0; n < 3; n += 1) fireAll();
  newest(attempts).message("a");
  fireAll();
  expect(told).toEqual(["first message", "error STALLED"]);
  expect(await reads[0]).toEqual(given("a"));
  expect(await rejection(Promise.all(reads))).toMatchObject({ reason: "STALLED" });
  expect(await stream.next()).toEqual(DONE);
});

test("a heartbeat that came in the turn in which it stalled does not hide that", async () => {
  const { clock, fireAll } = late();
  const { stream, attempts } = openStream(stalling(clock).layer);
  const next = read(stream);
  for (let n = 0; n < 3; n += 1) fireAll();
  newest(attempts).message(beat);
  fireAll();
  expect(await rejection(next)).toMatchObject({ reason: "STALLED" });
});

describe("heartbeats", () => {
  test("are kept back; those of a stream that resumes are handed on, since they may tell a position", async () => {
    for (const [hides, expected] of [
      [true, ["a"]],
      [false, [beat, "a"]],
    ] as const) {
      const { stream, attempts } = open({ hides });
      const reads = expected.map(() => read(stream));
      newest(attempts).message(beat);
      newest(attempts).message("a");
      expect(await Promise.all(reads)).toEqual(expected.map(given));
    }
  });

  test("thousands of them in a row are passed over, one at a time", async () => {
    const { stream, attempts } = open();
    const reads = [read(stream), read(stream)];
    for (let n = 0; n < 20_000; n += 1) newest(attempts).message(beat);
    newest(attempts).message("a");
    newest(attempts).message("b");
    expect(await Promise.all(reads)).toEqual([given("a"), given("b")]);
  });

  test("leave nothing behind", async () => {
    const { stream, attempts } = open();
    const next = read(stream);
    const refs: WeakRef<object>[] = [];
    for (let n = 0; n < 10; n += 1) {
      const hidden = { mark: true };
      refs.push(new WeakRef(hidden));
      newest(attempts).message(hidden);
      await setImmediate();
    }
    await setImmediate();
    await collectGarbage();
    expect(refs.slice(0, -1).filter((ref) => ref.deref())).toEqual([]);
    await stream.return();
    expect(await next).toEqual(DONE);
  });

  test("between readers that wait keep their order", async () => {
    const { stream, attempts, clock } = open();
    const reads = Array.from({ length: 4 }, () => read(stream));
    for (const message of [beat, "a", beat, beat, "b", "c", beat]) newest(attempts).message(message);
    newest(attempts).succeed();
    expect(await Promise.all(reads)).toEqual([given("a"), given("b"), given("c"), DONE]);
    expect(clock.pending).toBe(0);
  });
});

describe("whichever way it ends, no timer is left, and watchers hear of it once", () => {
  const gone = new AbortController();

  test.each<[string, string, (opened: ReturnType<typeof open>) => void]>([
    ["OK", "ok", ({ attempts }) => newest(attempts).succeed()],
    ["an error", "error STATUS", ({ attempts }) => newest(attempts).fail(aFailure())],
    ["its caller leaves", "cancelled", ({ attempts }) => newest(attempts).abort("gone")],
    ["return()", "cancelled", ({ stream }) => void stream.return()],
    [
      "return() twice",
      "cancelled",
      ({ stream }) => {
        void stream.return();
        void stream.return();
      },
    ],
    [
      "an error and return()",
      "error STATUS",
      ({ attempts, stream }) => {
        newest(attempts).fail(aFailure());
        void stream.return();
      },
    ],
  ])("%s", async (_, end, happens) => {
    const opened = open({ call: { signal: gone.signal } });
    const reads = [read(opened.stream), read(opened.stream)];
    await opened.clock.advance(25);
    happens(opened);
    await Promise.allSettled(reads);
    expect([opened.told, opened.clock.pending]).toEqual([[end], 0]);
    expect(await opened.stream.next()).toEqual(DONE);
    expect(opened.clock.pending).toBe(0);
  });

  test("return() before the first next()", async () => {
    const { stream, told, clock } = open();
    await stream.return();
    expect(await stream.next()).toEqual(DONE);
    expect([told, clock.pending]).toEqual([["cancelled"], 0]);
  });

  test("return() after it stalled, before anybody has read that: done", async () => {
    const { stream, clock, told } = open();
    const next = read(stream);
    await clock.advance(40);
    await stream.return();
    await Promise.allSettled([next]);
    expect(await stream.next()).toEqual(DONE);
    expect(told).toEqual(["error STALLED"]);
  });
});

describe("inside resume", () => {
  function resumed() {
    const set = resuming();
    const { layer, events } = stalling(set.clock, false);
    const signal = set.controller.signal;
    const opened = openStream(around(set.layer, layer), { request: { after: 5n }, signal });
    return { ...set, ...opened, stalls: events };
  }

  test("a stream that stalls is left, and opened again after its last position", async () => {
    const { stream, attempts, clock, told, events, stalls, left } = resumed();
    const first = read(stream);
    newest(attempts).message({ at: 6n });
    await first;
    const next = read(stream);
    newest(attempts).message({ at: 8n, mark: true });
    await clock.advance(40 + 50);
    expect(attempts.calls.map(({ request }) => request)).toEqual([{ after: 5n }, { after: 8n }]);
    expect(attempts.streams.map(({ left }) => left)).toEqual([1, 0]);
    newest(attempts).message({ at: 9n });
    newest(attempts).succeed();
    expect(await next).toEqual(given({ at: 9n }));
    expect(told).toEqual(["first message", "ok"]);
    expect(toldOf(stalls)).toHaveLength(1);
    expect(toldOf(events)).toMatchObject([
      ["resume", "scheduled", { because: "backoff", status: "UNAVAILABLE", cursor: "8" }],
      ["resume", "resumed", { reopenings: 1 }],
    ]);
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("the waits between its attempts are no stalls", async () => {
    const { stream, attempts, clock, stalls } = resumed();
    void read(stream);
    newest(attempts).fail(aFailure());
    await clock.advance(50);
    newest(attempts).fail(aFailure());
    await clock.advance(99);
    expect([toldOf(stalls), clock.pending]).toEqual([[], 1]);
    await stream.return();
    expect(clock.pending).toBe(0);
  });

  test("a stream that stalls each time ends with STALLED, after so many failures in a row", async () => {
    const { stream, clock, attempts, told, left } = resumed();
    const next = read(stream);
    await clock.advance(60_000);
    expect(await rejection(next)).toMatchObject({ reason: "STALLED", retryStop: "MAX_ATTEMPTS", attempts: 11 });
    expect([attempts.streams.length, told, left()]).toEqual([11, ["error STALLED"], NOTHING_LEFT]);
  });
});

test("unary calls pass untouched", () => {
  const next = () => Promise.reject(new Error("unused"));
  expect(stalling(fakeClock()).layer.unary(next, aMethod())).toBe(next);
});
