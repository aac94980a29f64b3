import { setImmediate } from "node:timers/promises";
import { Metadata } from "nice-grpc-common";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { retryLayer } from "../../../src/client/layers/retry.ts";
import type { Call } from "../../../src/core/call.ts";
import { CURSOR_HEADER } from "../../../src/core/cursor.ts";
import { RpcError } from "../../../src/core/errors.ts";
import { DONE, type MessageStream } from "../../../src/core/message-stream.ts";
import { Status, type StatusCode } from "../../../src/core/status.ts";
import type { FakeClock } from "../../../src/testing/index.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { afterTimers, listenersOf, newest, openStream, tellingOf } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import {
  aCut,
  aDrain,
  around,
  breakerOpen,
  expired,
  pinnedAt,
  type Resuming,
  resuming,
  TWICE,
  unsent,
} from "../../support/resuming.ts";
import { aFailure, aPushback, NOTHING_LEFT, toldOf } from "../../support/retrying.ts";
import { aCall, aMethod, ScriptedStreams } from "../../support/scripted.ts";

/** A stream through a resume layer that begins after 5, and the attempts below it. */
function open(policy: Resuming = {}, changes: Partial<Call> = {}) {
  const set = resuming(policy);
  const opened = openStream(set.layer, { request: { after: 5n }, signal: set.controller.signal, ...changes });
  return { ...set, ...opened, requests: () => opened.attempts.calls.map(({ request }) => request) };
}

type Opened = ReturnType<typeof open>;

const at = (position: unknown) => ({ at: position });
const given = (position: unknown) => ({ done: false, value: at(position) });
const marker = (position: unknown = 0n) => ({ at: position, mark: true });

/** Asks for a message, whatever comes of it. */
function read(stream: MessageStream): Promise<IteratorResult<unknown, undefined>> {
  const next = stream.next();
  next.catch(() => {});
  return next;
}

/** Reads a first message, 6, and has the stream break while somebody waits for the next one. */
async function toBreak({ stream, attempts, clock }: Opened, error: unknown = aCut()) {
  const first = read(stream);
  newest(attempts).message(at(6n));
  expect(await first).toEqual(given(6n));
  const next = read(stream);
  newest(attempts).fail(error);
  await clock.advance(0);
  return { next };
}

/** Fails each attempt as soon as it is made, until there is no other. */
async function failAll({ attempts, clock }: Opened, error: () => unknown): Promise<number> {
  for (let made = 0; made < attempts.streams.length; ) {
    made = attempts.streams.length;
    newest(attempts).fail(error());
    await clock.advance(5_000);
  }
  return attempts.streams.length;
}

describe("a stream that breaks", () => {
  test("is opened again after the last message, once its wait is over and not a millisecond before", async () => {
    const opened = open();
    const { attempts, clock, requests, stream } = opened;
    const { next } = await toBreak(opened);
    await clock.advance(49);
    expect(requests()).toEqual([{ after: 5n }]);
    await clock.advance(1);
    expect(requests()).toEqual([{ after: 5n }, { after: 6n }]);
    newest(attempts).message(at(6n));
    newest(attempts).message(at(7n));
    expect(await next).toEqual(given(7n));
    expect(stream.cursor).toBe(7n);
  });

  test("gives first what came before it broke, and is opened again only when somebody asks for more", async () => {
    const { stream, attempts, clock, requests, left } = open();
    const first = read(stream);
    for (const position of [6n, 7n, 8n]) newest(attempts).message(at(position));
    newest(attempts).fail(aCut());
    expect(await first).toEqual(given(6n));
    expect([await stream.next(), await stream.next()]).toEqual([given(7n), given(8n)]);
    await clock.advance(10_000);
    expect(attempts.streams).toHaveLength(1);
    expect(left()).toMatchObject({ timers: 0, permits: 0 });
    void read(stream);
    await clock.advance(50);
    expect(requests()).toEqual([{ after: 5n }, { after: 8n }]);
  });

  test("ends when the server says OK, whatever came before", async () => {
    const opened = open();
    const { attempts, clock, told, left, stream } = opened;
    const { next } = await toBreak(opened);
    await clock.advance(50);
    newest(attempts).succeed();
    expect(await next).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    expect([told.at(-1), left()]).toEqual(["ok", NOTHING_LEFT]);
  });

  test("ends with what is not resumed, as it is", async () => {
    const opened = open();
    const error = aFailure({ code: Status.PERMISSION_DENIED, details: "no longer yours" });
    const { next } = await toBreak(opened, error);
    expect(await rejection(next)).toMatchObject({ code: Status.PERMISSION_DENIED, reason: "STATUS", attempts: 1 });
    expect(await opened.stream.next()).toBe(DONE);
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });

  test("ends with a mistake of the program, which is told as it is", async () => {
    const opened = open();
    const mistake = new TypeError("a mistake");
    const { next } = await toBreak(opened, mistake);
    expect(await rejection(next)).toBe(mistake);
    expect([opened.told.at(-1), opened.left()]).toEqual(["error UNEXPECTED", NOTHING_LEFT]);
  });

  test("with { retry: false } ends with what broke it, position gone or not", async () => {
    for (const error of [aCut(), expired(), aDrain(), breakerOpen(1)]) {
      const onExpired = vi.fn();
      const opened = open({}, { options: { retry: false, onExpired } });
      const { next } = await toBreak(opened, error);
      expect(await rejection(next)).toBe(error);
      expect([opened.left(), onExpired.mock.calls]).toEqual([NOTHING_LEFT, []]);
    }
  });
});

describe("watchers", () => {
  test("hear of the first headers, the first message and the end, once each", async () => {
    const opened = open();
    const { attempts, clock, stream, told } = opened;
    const first = read(stream);
    newest(attempts).headers(new Metadata({ h: "1" }));
    newest(attempts).message(at(6n));
    await first;
    const next = read(stream);
    newest(attempts).fail(aCut());
    await clock.advance(50);
    expect(told).toEqual(["headers 1", "first message"]);
    newest(attempts).headers(new Metadata({ h: "2" }));
    newest(attempts).message(at(7n));
    newest(attempts).succeed();
    await next;
    expect(told).toEqual(["headers 1", "first message", "ok"]);
  });

  test("get the error that the reader gets, with its trailers", async () => {
    const opened = open({ maxFailures: 1 });
    const onEnd = vi.fn();
    opened.stream.watch({ onEnd });
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    const trailer = new Metadata({ t: "2" });
    newest(opened.attempts).fail(aFailure({ trailer }));
    const error = await rejection(next);
    expect(onEnd).toHaveBeenCalledExactlyOnceWith({ outcome: "error", error, trailer });
  });

  test("hear of the caller who leaves while the stream is broken and nobody reads", async () => {
    const { stream, attempts, told, controller, left } = open();
    const first = read(stream);
    newest(attempts).message(at(6n));
    await first;
    newest(attempts).fail(aCut());
    expect(told).toEqual(["first message"]);
    controller.abort("gone");
    expect(told).toEqual(["first message", "cancelled"]);
    expect(await rejection(stream.next())).toBe("gone");
    expect(await stream.next()).toBe(DONE);
    expect([told.length, left()]).toEqual([2, NOTHING_LEFT]);
  });

  test("that throw keep nobody from anything", async () => {
    const emit = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => emit.mockRestore());
    const opened = open();
    const throwing = () => {
      throw new Error("a watcher's own");
    };
    opened.stream.watch({ onHeaders: throwing, onFirstMessage: throwing, onEnd: throwing });
    const told = tellingOf(opened.stream);
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    newest(opened.attempts).headers(new Metadata());
    newest(opened.attempts).message(at(7n));
    newest(opened.attempts).succeed();
    expect(await next).toEqual(given(7n));
    expect(told).toEqual(["first message", "headers", "ok"]);
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });
});

describe("R8 the caller leaves", () => {
  test.each<[string, (opened: Opened) => Promise<unknown>]>([
    ["in the middle of the wait", ({ clock }) => clock.advance(20)],
    ["as the wait begins", async () => {}],
  ])("%s: it is over at once, and there is no other attempt", async (_, pass) => {
    const opened = open();
    const { attempts, clock, controller, told, left } = opened;
    const { next } = await toBreak(opened);
    await pass(opened);
    controller.abort("gone");
    expect(await rejection(next)).toBe("gone");
    expect(left()).toEqual(NOTHING_LEFT);
    await clock.advance(10_000);
    expect([attempts.streams.length, told.at(-1)]).toEqual([1, "cancelled"]);
  });

  test("in the turn in which the wait ends", async () => {
    const controller = new AbortController();
    const clockOf = (clock: FakeClock) => afterTimers(clock, () => controller.abort("gone"));
    const opened = open({ clockOf }, { signal: controller.signal });
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    expect(await rejection(next)).toBe("gone");
    expect([opened.attempts.streams.length, opened.told.at(-1), opened.left()]).toEqual([
      ...[1, "cancelled"],
      NOTHING_LEFT,
    ]);
    expect(listenersOf(controller.signal)).toBe(0);
  });

  test("during the opening", async () => {
    const opened = open();
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    opened.controller.abort("gone");
    newest(opened.attempts).abort("gone");
    expect(await rejection(next)).toBe("gone");
    expect([opened.told.at(-1), opened.left()]).toEqual(["cancelled", NOTHING_LEFT]);
  });

  test("before the first message is asked for: no attempt is made", async () => {
    const { stream, attempts, controller, left, told } = open();
    controller.abort("gone");
    expect(await rejection(stream.next())).toBe("gone");
    expect(await stream.next()).toBe(DONE);
    expect([attempts.streams.length, told, left()]).toEqual([0, ["cancelled"], NOTHING_LEFT]);
  });

  test("while reopening waits for the budget", async () => {
    const opened = open({ retryBudget: { minInFlight: 1 } });
    opened.share.budget.tryAcquire();
    const { next } = await toBreak(opened);
    await opened.clock.advance(500);
    opened.controller.abort("gone");
    expect(await rejection(next)).toBe("gone");
    expect([opened.attempts.streams.length, opened.left()]).toEqual([1, { ...NOTHING_LEFT, permits: 1 }]);
  });

  test("a signal that many calls share keeps no listener", async () => {
    const set = resuming();
    const method = aMethod("server-stream");
    for (let n = 0; n < 50; n += 1) {
      const attempts = new ScriptedStreams();
      const call = aCall({ method, request: { after: 5n }, signal: set.controller.signal });
      const stream = set.layer.stream(attempts.handler, method)(call);
      const next = read(stream);
      newest(attempts).fail(aCut());
      await set.clock.advance(50);
      newest(attempts).message(at(6n));
      newest(attempts).fail(aCut());
      await next;
      if (n % 2 === 0) await stream.return();
      else {
        const end = read(stream);
        await set.clock.advance(50);
        newest(attempts).succeed();
        await end;
      }
    }
    expect(set.left()).toEqual(NOTHING_LEFT);
  });
});

describe("return()", () => {
  test("in the middle of the wait ends the next() that waits, and draws on no budget", async () => {
    const opened = open();
    const { next } = await toBreak(opened);
    await opened.clock.advance(20);
    expect(await opened.stream.return()).toEqual(DONE);
    expect(await next).toBe(DONE);
    expect(opened.left()).toEqual(NOTHING_LEFT);
    await opened.clock.advance(10_000);
    expect([opened.attempts.streams.length, opened.told.at(-1)]).toEqual([1, "cancelled"]);
    expect(opened.share.budget.snapshot()).toMatchObject({ extraAttempts: 0, inFlight: 0 });
  });

  test("while reopening waits for the budget ends the next() that waits", async () => {
    const opened = open({ retryBudget: { minInFlight: 1, windowMs: 1e9 } });
    const permit = opened.share.budget.tryAcquire();
    const { next } = await toBreak(opened);
    await opened.clock.advance(300);
    void opened.stream.return();
    permit?.release();
    expect(await next).toBe(DONE);
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });

  test("during the opening leaves the attempt", async () => {
    const opened = open();
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    await opened.stream.return();
    expect(await next).toEqual(DONE);
    expect([newest(opened.attempts).left, opened.told.at(-1), opened.left()]).toEqual([1, "cancelled", NOTHING_LEFT]);
  });

  test("between the break and the next next(): nothing is opened any more", async () => {
    const { stream, attempts, clock, told, left } = open();
    const first = read(stream);
    newest(attempts).message(at(6n));
    await first;
    newest(attempts).fail(aCut());
    await stream.return();
    expect(await stream.next()).toEqual(DONE);
    await clock.advance(10_000);
    expect([attempts.streams.length, told, left()]).toEqual([1, ["first message", "cancelled"], NOTHING_LEFT]);
  });

  test("before the first next(): nothing is sent", async () => {
    const { stream, attempts, told, left } = open();
    await stream.return();
    expect(await stream.next()).toBe(DONE);
    expect([attempts.streams.length, told, left()]).toEqual([0, ["cancelled"], NOTHING_LEFT]);
  });

  test("twice, and with the signal, is told once", async () => {
    const opened = open();
    const { next } = await toBreak(opened);
    const reads = [next, read(opened.stream), read(opened.stream)];
    await Promise.all([opened.stream.return(), opened.stream.return()]);
    opened.controller.abort("gone");
    const results = await Promise.all(reads);
    expect(results).toEqual([DONE, DONE, DONE]);
    expect([opened.told, opened.left()]).toEqual([["first message", "cancelled"], NOTHING_LEFT]);
  });
});

describe("concurrent next() calls", () => {
  test("keep their order over duplicates, markers and breaks", async () => {
    const { stream, attempts, clock, left } = open();
    const reads = Array.from({ length: 6 }, () => read(stream));
    const script = [
      [at(5n), marker(), at(6n), at(6n), marker(7n)],
      [at(7n), at(8n), at(9n)],
      [marker(10n), at(10n), at(11n)],
    ];
    for (const messages of script) {
      for (const message of messages) newest(attempts).message(message);
      newest(attempts).fail(aCut());
      await clock.advance(5_000);
    }
    newest(attempts).message(at(12n));
    newest(attempts).succeed();
    const results = await Promise.all(reads);
    expect(results).toEqual([given(6n), given(8n), given(9n), given(11n), given(12n), DONE]);
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8])("settle in their order too, with one made %i turns later", async (turns) => {
    for (const hidden of [marker(), at(6n), at(5n)]) {
      const { stream, attempts } = open();
      const order: unknown[] = [];
      const ask = () => stream.next().then(({ value }) => order.push(value));
      const first = ask();
      for (const message of [at(6n), hidden, at(7n), at(8n), at(9n)]) newest(attempts).message(message);
      await first;
      const reads = [ask()];
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      reads.push(ask(), ask());
      await Promise.all(reads);
      expect(order).toEqual([at(6n), at(7n), at(8n), at(9n)]);
    }
  });

  test("of a stream that ends with an error: one gets it, the others are done", async () => {
    const opened = open();
    const { stream, attempts, clock } = opened;
    const reads = Array.from({ length: 3 }, () => read(stream));
    newest(attempts).fail(aFailure({ code: Status.NOT_FOUND }));
    newest(attempts).fail(new Error("a second one"));
    await clock.advance(0);
    expect(await Promise.allSettled(reads)).toMatchObject([
      { status: "rejected", reason: { code: Status.NOT_FOUND } },
      { status: "fulfilled", value: DONE },
      { status: "fulfilled", value: DONE },
    ]);
    expect([opened.told, opened.left()]).toEqual([["error STATUS"], NOTHING_LEFT]);
  });

  test("a message of an attempt that has been given up goes nowhere", async () => {
    const opened = open();
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    const [late] = opened.attempts.streams;
    late?.headers(new Metadata({ h: "late" }));
    late?.message(at(99n));
    newest(opened.attempts).message(at(7n));
    expect(await next).toEqual(given(7n));
    expect([opened.stream.cursor, opened.told]).toEqual([7n, ["first message"]]);
  });
});

describe("what is hidden", () => {
  test("thousands of markers in a row are passed over, one at a time", async () => {
    const { stream, attempts } = open();
    const next = read(stream);
    const attempt = newest(attempts);
    for (let n = 0; n < 20_000; n += 1) attempt.message(marker(BigInt(n)));
    attempt.message(at(20_000n));
    expect(await next).toEqual(given(20_000n));
    expect(attempt.asked).toBe(20_001);
    expect(stream.cursor).toBe(20_000n);
  });

  test("a stream that is all markers keeps nothing of them", async () => {
    const { stream, attempts } = open();
    const next = read(stream);
    const refs: WeakRef<object>[] = [];
    for (let n = 0; n < 3; n += 1) {
      const hidden = marker();
      refs.push(new WeakRef(hidden));
      newest(attempts).message(hidden);
      await setImmediate();
    }
    await vi.waitFor(async () => {
      await collectGarbage();
      expect(refs.slice(0, -1).filter((ref) => ref.deref())).toEqual([]);
    });
    await stream.return();
    expect(await next).toEqual(DONE);
  });

  test("a marker moves the position on, and a break continues after it", async () => {
    const { stream, attempts, clock, requests } = open();
    void read(stream);
    newest(attempts).message(marker(40n));
    await setImmediate();
    newest(attempts).fail(aCut());
    await clock.advance(50);
    expect(requests()).toEqual([{ after: 5n }, { after: 40n }]);
    expect(stream.cursor).toBe(40n);
  });

  /** Each attempt stands for so long, gives a heartbeat and breaks; the next one comes after so many milliseconds. */
  async function breakAfter(standingMs: number, waits: number[], maxFailures: number) {
    const opened = open({ maxFailures });
    const next = read(opened.stream);
    for (const waitMs of waits) {
      await opened.clock.advance(standingMs);
      newest(opened.attempts).message(marker());
      await setImmediate();
      newest(opened.attempts).fail(aCut());
      await opened.clock.advance(waitMs);
    }
    return { ...opened, next };
  }

  test("a heartbeat is no message: failures are counted on, and all of them told", async () => {
    const { next, attempts } = await breakAfter(999, [50, 100, 0], 2);
    expect(await rejection(next)).toMatchObject({ retryStop: "MAX_ATTEMPTS", attempts: 3, failures: { length: 3 } });
    expect(attempts.streams).toHaveLength(3);
  });

  test("unless the stream has stood for as long as the longest backoff: then they begin to count anew", async () => {
    const { attempts } = await breakAfter(1_000, [50, 50, 50, 50], 1);
    expect(attempts.streams).toHaveLength(5);
  });
});

describe("the server leaves in good order", () => {
  test("and is followed at once, without the budget; the second time in a row after a backoff", async () => {
    const opened = open({ retryBudget: { minInFlight: 1, ratio: 0.01 } });
    const permit = opened.share.budget.tryAcquire();
    await toBreak(opened, aDrain());
    expect(opened.requests()).toEqual([{ after: 5n }, { after: 6n }]);
    permit?.release();
    newest(opened.attempts).fail(aDrain());
    await opened.clock.advance(49);
    expect(opened.attempts.streams).toHaveLength(2);
    await opened.clock.advance(1);
    expect(opened.attempts.streams).toHaveLength(3);
    const told = toldOf(opened.events).map((event) => (event as [string, string, { because?: string }])[2].because);
    expect(told).toEqual(["drain", "backoff"]);
  });
});

describe("the server's word on when to come back", () => {
  test("is kept: after so many milliseconds", async () => {
    const opened = open();
    await toBreak(opened, aPushback("70"));
    await opened.clock.advance(69);
    expect(opened.attempts.streams).toHaveLength(1);
    await opened.clock.advance(1);
    expect(opened.attempts.streams).toHaveLength(2);
  });

  test.each([["-1"], ["soon"], ["1", "2"]])("is kept: not at all (%s)", async (...values) => {
    const opened = open();
    const { next } = await toBreak(opened, aPushback(...values));
    expect(await rejection(next)).toMatchObject({ code: Status.UNAVAILABLE, retryStop: "PUSHBACK", attempts: 1 });
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });
});

describe("S4 failures in a row", () => {
  test("are capped: so many are waited out, and the call fails with the last one and all of them", async () => {
    const opened = open({ maxFailures: 3 });
    const next = read(opened.stream);
    let n = 0;
    const made = await failAll(opened, () => aFailure({ details: `failure ${++n}` }));
    expect(made).toBe(4);
    expect(await rejection(next)).toMatchObject({
      ...{ reason: "STATUS", details: "failure 4", retryStop: "MAX_ATTEMPTS", attempts: 4 },
      failures: [1, 2, 3, 4].map((attempt) => ({ attempt, details: `failure ${attempt}` })),
    });
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });

  test("are known to what is below from the second one on, until a message comes", async () => {
    const opened = open({ maxFailures: 5 });
    const { next } = await toBreak(opened);
    const failing = () => opened.attempts.calls.at(-1)?.isFailing ?? false;
    await opened.clock.advance(50);
    expect(failing()).toBe(false);
    newest(opened.attempts).fail(aFailure());
    await opened.clock.advance(1_000);
    expect(failing()).toBe(true);
    newest(opened.attempts).message(at(7n));
    await next;
    void read(opened.stream);
    newest(opened.attempts).fail(aFailure());
    await opened.clock.advance(50);
    expect(failing()).toBe(false);
  });

  test("are told since the last message alone", async () => {
    const opened = open({ maxFailures: 1 });
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    newest(opened.attempts).message(at(7n));
    await next;
    const end = read(opened.stream);
    newest(opened.attempts).fail(aFailure({ details: "x" }));
    await opened.clock.advance(50);
    newest(opened.attempts).message(at(7n));
    newest(opened.attempts).fail(aFailure({ details: "y" }));
    expect(await rejection(end)).toMatchObject({ failures: [{ details: "x" }, { details: "y" }], attempts: 2 });
  });
});

test("S2 a server that sends more than was asked for is left, and the stream ends well", async () => {
  const opened = open({}, { request: { after: 5n, limit: 1 } });
  const { attempts, stream, told, left } = opened;
  const first = read(stream);
  newest(attempts).message(at(6n));
  newest(attempts).message(at(7n));
  expect(await first).toEqual(given(6n));
  expect(await stream.next()).toBe(DONE);
  expect([newest(attempts).left, told.at(-1), left()]).toEqual([1, "ok", NOTHING_LEFT]);
});

describe("S4 the retry budget", () => {
  test("that has none left is waited for, as long as it takes, and fails nothing", async () => {
    const opened = open({ retryBudget: { minInFlight: 1, windowMs: 1e9 }, maxFailures: 1 });
    const permit = opened.share.budget.tryAcquire();
    const { next } = await toBreak(opened);
    await opened.clock.advance(60_000);
    expect([opened.attempts.streams.length, opened.clock.pending]).toEqual([1, 1]);
    permit?.release();
    for (let ms = 0; ms < 100 && opened.attempts.streams.length === 1; ms += 1) await opened.clock.advance(1);
    expect(opened.requests()).toEqual([{ after: 5n }, { after: 6n }]);
    expect(opened.left()).toMatchObject({ permits: 1 });
    newest(opened.attempts).headers(new Metadata());
    expect(opened.left()).toMatchObject({ permits: 0 });
    newest(opened.attempts).message(at(7n));
    expect(await next).toEqual(given(7n));
  });

  test("is held for 50 ms and no longer by an opening of which nothing is heard", async () => {
    const opened = open();
    await toBreak(opened);
    await opened.clock.advance(50);
    expect(opened.attempts.streams).toHaveLength(2);
    await opened.clock.advance(49);
    expect(opened.left()).toMatchObject({ permits: 1 });
    await opened.clock.advance(1);
    expect(opened.left()).toMatchObject({ permits: 0, timers: 0 });
  });

  test.each<[string, (opened: Opened) => void]>([
    ["headers", ({ attempts }) => newest(attempts).headers(new Metadata())],
    ["a message", ({ attempts }) => newest(attempts).message(at(7n))],
    ["a heartbeat", ({ attempts }) => newest(attempts).message(marker())],
    ["a message that is dropped", ({ attempts }) => newest(attempts).message(at(6n))],
    ["a failure", ({ attempts }) => newest(attempts).fail(aCut())],
    ["OK", ({ attempts }) => newest(attempts).succeed()],
    ["return()", ({ stream }) => void stream.return()],
  ])("gets its permit back with %s", async (_, happens) => {
    const opened = open();
    await toBreak(opened);
    await opened.clock.advance(50);
    expect(opened.left()).toMatchObject({ permits: 1 });
    happens(opened);
    await setImmediate();
    expect(opened.left()).toMatchObject({ permits: 0 });
  });

  test("R5 is waited for until the deadline, and not a moment longer", async () => {
    const opened = open({ retryBudget: { minInFlight: 1, windowMs: 1e9 } }, { deadline: 120 });
    opened.share.budget.tryAcquire();
    const { next } = await toBreak(opened);
    await opened.clock.advance(119);
    expect(opened.clock.pending).toBe(1);
    await opened.clock.advance(1);
    expect(await rejection(next)).toMatchObject({
      ...{ code: Status.UNAVAILABLE, reason: "DEADLINE_BEFORE_RETRY", retryStop: "DEADLINE", origin: "local" },
      failures: [{ attempt: 1, reason: "TRANSPORT" }],
    });
    expect([opened.attempts.streams.length, opened.left()]).toEqual([1, { ...NOTHING_LEFT, permits: 1 }]);
  });
});

describe("S4 the client's own rejections", () => {
  /** Has a stream break, and the first reopening rejected by a breaker that is open for so long. */
  async function toRejection(opened: Opened, retryAfterMs?: number) {
    const broken = await toBreak(opened);
    await opened.clock.advance(50);
    newest(opened.attempts).fail(breakerOpen(retryAfterMs));
    await opened.clock.advance(0);
    return broken;
  }

  test("are waited for: until the breaker's next trial, then soon, as often as it takes, and are no failure", async () => {
    const opened = open({ maxFailures: 1 });
    const { next } = await toRejection(opened, 3_000);
    let waitMs = 3_000;
    for (let n = 2; n <= 20; n += 1) {
      await opened.clock.advance(waitMs - 1);
      expect(opened.attempts.streams).toHaveLength(n);
      await opened.clock.advance(1);
      expect(opened.attempts.streams).toHaveLength(n + 1);
      newest(opened.attempts).fail(breakerOpen(3_000));
      await opened.clock.advance(0);
      waitMs = 750;
    }
    await opened.clock.advance(750);
    newest(opened.attempts).message(at(7n));
    expect(await next).toEqual(given(7n));
  });

  test("are told once in a row", async () => {
    const opened = open();
    await toRejection(opened, 30);
    for (let n = 0; n < 3; n += 1) {
      await opened.clock.advance(750);
      newest(opened.attempts).fail(breakerOpen(30));
      await opened.clock.advance(0);
    }
    const because = toldOf(opened.events).map((told) => (told as [string, string, { because?: string }])[2].because);
    expect(because.filter((why) => why === "rejection")).toHaveLength(1);
  });

  test("that say nothing of when are asked about again soon", async () => {
    const opened = open();
    await toRejection(opened);
    await opened.clock.advance(749);
    expect(opened.attempts.streams).toHaveLength(2);
    await opened.clock.advance(1);
    expect(opened.attempts.streams).toHaveLength(3);
  });

  test.each(["BREAKER_OPEN", "BULKHEAD_FULL", "LIMIT_REACHED", "CLIENT_THROTTLED", "NO_CREDENTIALS"] as const)(
    "of a first opening end the call: %s",
    async (reason) => {
      const opened = open();
      const next = read(opened.stream);
      newest(opened.attempts).fail(aFailure({ reason, origin: "local", attempts: 0 }));
      expect(await rejection(next)).toMatchObject({ reason, attempts: 0 });
      expect([opened.attempts.streams.length, opened.left()]).toEqual([1, NOTHING_LEFT]);
    },
  );

  test("that opened after an attempt that failed does not hide that failure: it counts", async () => {
    const opened = open({ maxFailures: 2 });
    const next = read(opened.stream);
    const failed = () => aFailure({ reason: "BREAKER_OPEN", origin: "local", attempts: 1, retryAfterMs: 1 });
    expect(await failAll(opened, failed)).toBe(3);
    expect(await rejection(next)).toMatchObject({ retryStop: "MAX_ATTEMPTS", attempts: 3 });
  });

  const noToken = (code: StatusCode) => () =>
    aFailure({ reason: "NO_CREDENTIALS", origin: "local", attempts: 0, code });

  test("but for a token that cannot be had: that is a failure, told after max_failures of them", async () => {
    const opened = open({ maxFailures: 3 });
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    expect(await failAll(opened, noToken(Status.UNAVAILABLE))).toBe(4);
    expect(await rejection(next)).toMatchObject({
      ...{ reason: "NO_CREDENTIALS", retryStop: "MAX_ATTEMPTS", attempts: 1 },
      failures: [{ attempt: 1, reason: "TRANSPORT" }],
    });
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });

  test("and where there is none at all, even if UNAUTHENTICATED is resumed after: that ends the call", async () => {
    const opened = open({ codes: ["UNAVAILABLE", "UNAUTHENTICATED"] });
    const { next } = await toBreak(opened);
    await opened.clock.advance(50);
    newest(opened.attempts).fail(noToken(Status.UNAUTHENTICATED)());
    expect(await rejection(next)).toMatchObject({ reason: "NO_CREDENTIALS", code: Status.UNAUTHENTICATED });
    expect([opened.attempts.streams.length, opened.left()]).toEqual([2, NOTHING_LEFT]);
  });

  test("and a client that is closed: the call ends, and asks no more", async () => {
    const opened = open();
    const { next } = await toRejection(opened, 1_000);
    opened.closing.abort();
    expect(await rejection(next)).toMatchObject({ reason: "CLIENT_CLOSED", code: Status.UNAVAILABLE });
    expect([opened.attempts.streams.length, opened.told.at(-1), opened.left()]).toEqual([
      ...[2, "error CLIENT_CLOSED"],
      NOTHING_LEFT,
    ]);
  });
});

describe("a client that is closed", () => {
  test("in the middle of a wait ends the call at once, and says what came before", async () => {
    const opened = open();
    const { next } = await toBreak(opened);
    opened.closing.abort();
    expect(await rejection(next)).toMatchObject({
      ...{ reason: "CLIENT_CLOSED", attempts: 1 },
      failures: [{ reason: "TRANSPORT" }],
    });
    expect([opened.attempts.streams.length, opened.left()]).toEqual([1, NOTHING_LEFT]);
  });
});

describe("R5 the deadline", () => {
  test("a wait that does not fit what is left is not begun", async () => {
    const opened = open({}, { deadline: 50 });
    const { next } = await toBreak(opened);
    expect(await rejection(next)).toMatchObject({
      ...{ code: Status.UNAVAILABLE, reason: "DEADLINE_BEFORE_RETRY", origin: "local", retryStop: "DEADLINE" },
      ...{ attempts: 1, details: "Connection dropped" },
    });
    expect([opened.attempts.streams.length, opened.left()]).toEqual([1, NOTHING_LEFT]);
  });

  test("one that fits is, by a millisecond", async () => {
    const opened = open({}, { deadline: 51 });
    await toBreak(opened);
    await opened.clock.advance(50);
    expect(opened.attempts.calls.map(({ startedAt, deadline }) => [startedAt, deadline])).toEqual([
      [0, 51],
      [50, 51],
    ]);
  });
});

describe("S2 a limit", () => {
  test.each<[string, unknown, unknown, unknown]>([
    ["number", 5, 3, 2],
    ["bigint", 5n, 3n, 2n],
    ["decimal string", "5", "3", "2"],
  ])("shrinks by what was delivered: %s", async (_, limit, second, third) => {
    const { stream, attempts, clock, requests } = open({}, { request: { after: 5n, limit, who: "c-1" } });
    const reads = Array.from({ length: 5 }, () => read(stream));
    newest(attempts).message(at(6n));
    newest(attempts).message(marker(7n));
    newest(attempts).message(at(8n));
    newest(attempts).fail(aCut());
    await clock.advance(50);
    newest(attempts).message(at(8n));
    newest(attempts).message(at(9n));
    newest(attempts).fail(aCut());
    await clock.advance(50);
    expect(requests()).toEqual([
      { after: 5n, limit, who: "c-1" },
      { after: 8n, limit: second, who: "c-1" },
      { after: 9n, limit: third, who: "c-1" },
    ]);
    await stream.return();
    await Promise.all(reads);
  });

  test("with nothing left to read, whatever broke is the end, without another call", async () => {
    for (const error of [aCut(), aFailure({ code: Status.NOT_FOUND }), expired(), breakerOpen(1)]) {
      const opened = open({}, { request: { after: 5n, limit: 1 } });
      const { next } = await toBreak(opened, error);
      expect(await next).toBe(DONE);
      expect([opened.attempts.streams.length, opened.told, opened.left()]).toEqual([
        ...[1, ["first message", "ok"]],
        NOTHING_LEFT,
      ]);
    }
  });

  test.each([0, 0n, "0", "", undefined, -1])("of %o is none", async (limit) => {
    const opened = open({}, { request: { after: 5n, limit } });
    await toBreak(opened);
    await opened.clock.advance(50);
    expect(opened.requests()[1]).toEqual({ after: 6n, limit });
  });
});

describe("S3 a position that is gone", () => {
  const answers = (onExpired: NonNullable<Call["options"]["onExpired"]>) => ({ options: { onExpired } });
  const toExpired = (changes: Partial<Call> = {}, policy: Resuming = {}) => {
    const opened = open(policy, changes);
    return toBreak(opened, expired()).then(({ next }) => ({ ...opened, next }));
  };

  test("is an explicit error with the last position, and is told once", async () => {
    const { next, told, left } = await toExpired();
    const error = await rejection(next);
    expect(error).toMatchObject({
      ...{ code: Status.OUT_OF_RANGE, reason: "CURSOR_EXPIRED", origin: "wire", cursor: 6n, attempts: 1 },
      details: "the server cannot continue after position 6: compacted",
      failures: [{ details: "compacted" }],
    });
    expect([told, left()]).toEqual([["first message", "error CURSOR_EXPIRED"], NOTHING_LEFT]);
  });

  test("is answered by another request, which is sent at once, and by the next one's position", async () => {
    const onExpired = vi.fn(async () => ({ after: 40n, who: "c-1" }));
    const { next, requests, attempts, clock, events } = await toExpired(answers(onExpired));
    expect(onExpired).toHaveBeenCalledExactlyOnceWith(6n, { signal: expect.any(AbortSignal) });
    expect(requests()).toEqual([{ after: 5n }, { after: 40n, who: "c-1" }]);
    newest(attempts).message(at(40n));
    newest(attempts).message(at(41n));
    expect(await next).toEqual(given(41n));
    newest(attempts).fail(aCut());
    await clock.advance(10_000);
    expect(toldOf(events).map((event) => (event as string[])[1])).toEqual(["restarted", "dropped", "resumed"]);
  });

  test("is answered by a request that begins anew, without a position", async () => {
    const { next, requests, attempts, stream } = await toExpired(
      answers(() => ({ after: 0n })),
      { fromStart: true },
    );
    expect(requests()).toEqual([{ after: 5n }, { after: 0n }]);
    newest(attempts).message(at(1n));
    expect(await next).toEqual(given(1n));
    expect(stream.cursor).toBe(1n);
  });

  test.each<[string, () => undefined | Promise<undefined>]>([
    ["nothing", () => undefined],
    ["nothing, later", async () => undefined],
  ])("ends the call after all where onExpired returns %s", async (_, onExpired) => {
    const { next, left } = await toExpired(answers(onExpired));
    expect(await rejection(next)).toMatchObject({ reason: "CURSOR_EXPIRED", cursor: 6n });
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test.each<[string, (error: Error) => Promise<object>]>([
    [
      "throws",
      (error) => {
        throw error;
      },
    ],
    ["rejects", (error) => Promise.reject(error)],
  ])("ends the call with what onExpired %s with", async (_, onExpired) => {
    const own = new Error("the application's own");
    const { next, told, left, stream } = await toExpired(answers(() => onExpired(own)));
    expect(await rejection(next)).toBe(own);
    expect(await stream.next()).toBe(DONE);
    expect([told.at(-1), left()]).toEqual(["error UNEXPECTED", NOTHING_LEFT]);
  });

  const NO_REQUEST = "it must be a request, or undefined to end the call; it is";
  const NO_POSITION = "after says no position: the stream would begin now, and what came before be lost";

  test.each<[string, unknown, string]>([
    ["null", null, `${NO_REQUEST} null`],
    ["a number", 5, `${NO_REQUEST} 5`],
    ["a position", "p-1", `${NO_REQUEST} "p-1"`],
    ["an array", [{ after: 40n }], `${NO_REQUEST} an array`],
    ["nothing", {}, NO_POSITION],
    ["zero", { after: 0n }, NO_POSITION],
    ["an undefined position", { after: undefined }, NO_POSITION],
    ["a position under another name", { aftr: 40n, who: "c-1" }, NO_POSITION],
  ])("is an error, and begins nowhere, where onExpired answers %s", async (_, answer, text) => {
    const { next, told, left, attempts, events } = await toExpired(answers(async () => answer as object));
    const error = await rejection(next);
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`/test.Service/server-stream: onExpired's answer is refused: ${text}`);
    expect([attempts.streams.length, told.at(-1), left()]).toEqual([1, "error UNEXPECTED", NOTHING_LEFT]);
    expect(toldOf(events)).toEqual([]);
  });

  test.each<[string, object]>([
    ["text", { after: "" }],
    ["bytes", { after: new Uint8Array() }],
  ])("is an error, too, where onExpired answers empty %s", async (type, answer) => {
    const policy: Resuming = { type: type === "text" ? "string" : "bytes" };
    const { next } = await toExpired({ request: { after: "" }, ...answers(() => answer) }, policy);
    expect(String(await rejection(next))).toContain(NO_POSITION);
  });

  test("does not wait for onExpired once the caller has left", async () => {
    const answer = Promise.withResolvers<object>();
    const { next, controller, told, left, attempts } = await toExpired(answers(() => answer.promise));
    controller.abort("gone");
    expect(await rejection(next)).toBe("gone");
    expect([told.at(-1), left()]).toEqual(["cancelled", NOTHING_LEFT]);
    answer.reject(new Error("late"));
    await setImmediate();
    expect(attempts.streams).toHaveLength(1);
  });

  test("does not wait for onExpired once the stream is left", async () => {
    const answer = Promise.withResolvers<object>();
    const { next, stream, told, left, attempts } = await toExpired(answers(() => answer.promise));
    await stream.return();
    expect(await next).toBe(DONE);
    answer.resolve({ after: 40n });
    await setImmediate();
    expect([attempts.streams.length, told.at(-1), left()]).toEqual([1, "cancelled", NOTHING_LEFT]);
  });

  test("does not wait for onExpired beyond the deadline", async () => {
    const { next, clock, left } = await toExpired({
      ...answers(() => new Promise<never>(() => {})),
      deadline: 100,
    });
    await clock.advance(100);
    expect(await rejection(next)).toMatchObject({ reason: "DEADLINE_BEFORE_RETRY", code: Status.OUT_OF_RANGE });
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("an onExpired that leaves by itself is taken at its word", async () => {
    const opened: { leave?: () => void } = {};
    const set = await toExpired(
      answers(async () => {
        opened.leave?.();
        return { after: 40n };
      }),
    );
    expect(set.requests()).toHaveLength(2);
    opened.leave = () => set.controller.abort("gone");
    newest(set.attempts).fail(expired());
    expect(await rejection(set.next)).toBe("gone");
    expect([set.attempts.streams.length, set.left()]).toEqual([2, NOTHING_LEFT]);
  });

  test("again and again ends the call as a position that is gone, after so many failures in a row", async () => {
    const onExpired = vi.fn(() => ({ after: 9n }));
    const opened = open({ maxFailures: 3 }, answers(onExpired));
    const next = read(opened.stream);
    expect(await failAll(opened, expired)).toBe(4);
    expect(await rejection(next)).toMatchObject({ reason: "CURSOR_EXPIRED", cursor: 9n, attempts: 4 });
    expect(onExpired).toHaveBeenCalledTimes(3);
    expect(opened.left()).toEqual(NOTHING_LEFT);
  });
});

describe("S5 a stream that is opened without a position", () => {
  const nowhere = { request: {} };

  test.each<[string, () => RpcError, boolean]>([
    ["no connection took it", unsent, true],
    ["the server answered with trailers alone", () => aFailure(), true],
    ["the server that drains answered with trailers alone", aDrain, true],
    ["the connection broke before anything came", aCut, false],
    ["headers without a position came before", () => aFailure({ headersReceived: true }), false],
    ["it stalled", () => aFailure({ reason: "STALLED", origin: "local" }), false],
  ])("%s: reopened %#", async (_, error, reopens) => {
    const { stream, attempts, clock, requests } = open({}, nowhere);
    const next = read(stream);
    newest(attempts).fail(error());
    await clock.advance(1_000);
    expect(requests()).toEqual(reopens ? [{}, {}] : [{}]);
    const reasons = reopens ? [] : ["CURSOR_UNKNOWN"];
    await stream.return();
    const [settled] = await Promise.allSettled([next]);
    expect(settled?.status === "rejected" ? [settled.reason.reason] : []).toEqual(reasons);
  });

  test("CURSOR_UNKNOWN says what to do, and keeps what broke it: code, details, failures", async () => {
    const { stream, attempts, left } = open({}, nowhere);
    const next = read(stream);
    newest(attempts).fail(aCut());
    expect(await rejection(next)).toMatchObject({
      ...{ reason: "CURSOR_UNKNOWN", origin: "local", code: Status.UNAVAILABLE },
      details:
        "the stream broke before it was known where it began, and is not resumed; give the request a position, have the handler call context.pin, or say from_start in the contract: Connection dropped",
      failures: [{ reason: "TRANSPORT", details: "Connection dropped" }],
    });
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("and broke before its first message is reopened from where the header says", async () => {
    const { stream, attempts, clock, requests } = open({}, nowhere);
    const next = read(stream);
    newest(attempts).headers(pinnedAt(41n));
    expect(stream.cursor).toBe(41n);
    newest(attempts).fail(aCut());
    await clock.advance(50);
    newest(attempts).headers(pinnedAt(90n));
    newest(attempts).fail(aCut());
    await clock.advance(100);
    expect(requests()).toEqual([{}, { after: 41n }, { after: 41n }]);
    newest(attempts).message(at(41n));
    newest(attempts).message(at(42n));
    expect(await next).toEqual(given(42n));
  });

  test.each<[string, Resuming, unknown, unknown]>([
    ["bigint", {}, 41n, 41n],
    ["number", { empty: 0 }, 41, 41],
    ["decimal string", { empty: "0" }, "41", "41"],
    ["text", { type: "string" }, "m-1", "m-1"],
    ["bytes", { type: "bytes" }, Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
  ])("a header's position has the type of the request's: %s", async (_, policy, pinned, expected) => {
    const { stream, attempts, clock, requests } = open(policy, nowhere);
    void read(stream);
    newest(attempts).headers(pinnedAt(pinned));
    newest(attempts).fail(aCut());
    await clock.advance(50);
    expect(requests()).toEqual([{}, { after: expected }]);
  });

  test.each<[string, Resuming, Uint8Array]>([
    ["no number", {}, Buffer.from("abc")],
    ["no text", { type: "string" }, Uint8Array.of(0xff)],
    ["no number, for a decimal string", { empty: "0" }, Buffer.from("abc")],
  ])("a header that cannot be read tells no position, and a warning: %s", async (_, policy, bytes) => {
    const emit = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => emit.mockRestore());
    const { stream, attempts } = open(policy, nowhere);
    const next = read(stream);
    newest(attempts).headers(new Metadata({ [CURSOR_HEADER]: bytes }));
    newest(attempts).fail(aCut());
    expect(await rejection(next)).toMatchObject({ reason: "CURSOR_UNKNOWN" });
    expect(emit).toHaveBeenCalledOnce();
    expect(String(emit.mock.calls[0]?.[0])).toContain("a stream's first header has no position");
  });

  test("a header that says 0, which no request can say, tells no position", async () => {
    const { stream, attempts } = open({}, nowhere);
    const next = read(stream);
    newest(attempts).headers(pinnedAt(0n));
    newest(attempts).fail(aCut());
    expect(await rejection(next)).toMatchObject({ reason: "CURSOR_UNKNOWN" });
  });

  test.each([{ after: 0n }, { after: "0" }, { after: 0 }, { after: undefined }, {}, null])(
    "a request %o says no position",
    async (request) => {
      const { stream, attempts } = open({}, { request });
      const next = read(stream);
      newest(attempts).fail(aCut());
      expect(await rejection(next)).toMatchObject({ reason: "CURSOR_UNKNOWN" });
    },
  );

  test("with from_start is sent again as it was", async () => {
    const { stream, attempts, clock, requests } = open({ fromStart: true }, { request: { who: "c-1" } });
    void read(stream);
    newest(attempts).fail(aCut());
    await clock.advance(50);
    expect(requests()).toEqual([{ who: "c-1" }, { who: "c-1" }]);
  });

  test("is not opened again by a retry below, which would not ask where it begins", async () => {
    const set = resuming();
    const retry = retryLayer({ ...set, options: TWICE, random: () => 0.5, report: undefined, closed: undefined });
    const { stream, attempts } = openStream(around(set.layer, retry), nowhere);
    const next = read(stream);
    newest(attempts).fail(aCut());
    await set.clock.advance(1_000);
    expect(await rejection(next)).toMatchObject({ reason: "CURSOR_UNKNOWN" });
    expect(attempts.streams).toHaveLength(1);
  });

  test("with a position, a retry below opens it again first", async () => {
    const set = resuming();
    const retry = retryLayer({ ...set, options: TWICE, random: () => 0.5, report: undefined, closed: undefined });
    const { stream, attempts } = openStream(around(set.layer, retry), { request: { after: 5n } });
    void read(stream);
    newest(attempts).fail(aCut());
    await set.clock.advance(10);
    expect(attempts.calls.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });
});

describe("a position that is none", () => {
  test("ends the call and leaves the attempt: no other would be better", async () => {
    const { stream, attempts, told, left } = open({}, { request: { after: 5n } });
    const next = read(stream);
    newest(attempts).message(at("abc"));
    expect(await rejection(next)).toBeInstanceOf(SyntaxError);
    expect(await stream.next()).toEqual(DONE);
    expect([newest(attempts).left, told, left()]).toEqual([1, ["first message", "error UNEXPECTED"], NOTHING_LEFT]);
  });

  test("also where it comes to a reader that is not the only one", async () => {
    const { stream, attempts, told, left } = open({}, { request: { after: 5n } });
    const reads = [read(stream), read(stream), read(stream)];
    newest(attempts).message(at(6n));
    newest(attempts).message(at("abc"));
    const [first, second, third] = await Promise.allSettled(reads);
    expect([first, third]).toEqual([
      { status: "fulfilled", value: given(6n) },
      { status: "fulfilled", value: DONE },
    ]);
    expect(second).toMatchObject({ status: "rejected", reason: expect.any(SyntaxError) });
    expect([newest(attempts).left, told.at(-1), left()]).toEqual([1, "error UNEXPECTED", NOTHING_LEFT]);
  });
});

test("positions that are decimal strings: what says 0 has no position, and nothing is lost by it", async () => {
  const { stream, attempts, clock, requests } = open({ empty: "0", maxFailures: 1 }, { request: { after: "9" } });
  const reads = [read(stream), read(stream)];
  newest(attempts).message(marker("0"));
  newest(attempts).message(at("0"));
  newest(attempts).message(at("10"));
  expect(await Promise.all(reads)).toEqual([given("0"), given("10")]);
  void read(stream);
  newest(attempts).fail(aCut());
  await clock.advance(50);
  expect(requests()).toEqual([{ after: "9" }, { after: "10" }]);
});

test("an observer hears of each reopening, what it was for, and how long it took", async () => {
  const opened = open();
  const { next } = await toBreak(opened);
  await opened.clock.advance(80);
  newest(opened.attempts).headers(new Metadata());
  newest(opened.attempts).message(at(7n));
  await next;
  expect(toldOf(opened.events)).toEqual([
    ["resume", "scheduled", { because: "backoff", delayMs: 50, status: "UNAVAILABLE", failures: 1, cursor: "6" }],
    ["resume", "resumed", { tookMs: 80, reopenings: 1, cursor: "6" }],
  ]);
});

test("unary calls pass untouched", async () => {
  const { layer } = open();
  const next = () => Promise.reject(new RpcError({ path: "", reason: "STATUS", details: "" }));
  expect(layer.unary(next, aMethod())).toBe(next);
});
