import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { attemptDeadlineLayer } from "../../../src/client/layers/attempt-deadline.ts";
import type { Call } from "../../../src/core/call.ts";
import { NO_DEADLINE } from "../../../src/core/deadline.ts";
import { DONE } from "../../../src/core/message-stream.ts";
import { Status } from "../../../src/core/status.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { afterTimers, forms, newest, openStream } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure } from "../../support/retrying.ts";
import { aCall, aMethod, aReply, ScriptedUnary } from "../../support/scripted.ts";

const exceeded = (changes = {}) =>
  aFailure({ reason: "DEADLINE_EXCEEDED", code: Status.DEADLINE_EXCEEDED, details: "deadline exceeded", ...changes });
const tooLong = {
  ...{ code: Status.DEADLINE_EXCEEDED, reason: "ATTEMPT_TIMEOUT", origin: "local" },
  details: "the attempt took longer than 100 ms",
};

describe.each(forms)("%s", (_, drive) => {
  test("an attempt that answers in time is none of its business", async () => {
    const clock = fakeClock();
    const driven = drive(attemptDeadlineLayer(100, clock));
    await clock.advance(99);
    driven.reply("order");
    expect(await driven.outcome).toBe("order");
    expect(clock.pending).toBe(0);
  });

  test("a failure is handed on as it is", async () => {
    const clock = fakeClock();
    const driven = drive(attemptDeadlineLayer(100, clock));
    const failure = aFailure();
    driven.fail(failure);
    expect(await rejection(driven.outcome)).toBe(failure);
    expect(clock.pending).toBe(0);
  });

  test.each([99, 100])("where the call itself has %i ms, the call goes on as it came", async (deadline) => {
    const clock = fakeClock();
    const call = aCall({ deadline });
    const driven = drive(attemptDeadlineLayer(100, clock), { deadline });
    const failure = exceeded();
    expect(driven.calls[0]?.deadline).toBe(call.deadline);
    await clock.advance(deadline);
    driven.fail(failure);
    expect(await rejection(driven.outcome)).toBe(failure);
    expect(clock.pending).toBe(0);
  });
});

describe("unary", () => {
  const start = (changes: Partial<Call> = {}, now = 0) => {
    const clock = fakeClock({ now });
    const attempt = new ScriptedUnary();
    const reply = attemptDeadlineLayer(100, clock).unary(
      attempt.handler,
      aMethod(),
    )(aCall({ startedAt: now, ...changes }));
    return { clock, attempt, reply };
  };

  test.each([
    [NO_DEADLINE, 1_100],
    [1_101, 1_100],
    [1_100, 1_100],
    [1_099, 1_099],
  ])("of a call whose deadline is %d, an attempt at 1000 gets %d", async (deadline, expected) => {
    const { attempt, reply } = start({ deadline }, 1_000);
    attempt.reply(aReply("order"));
    await reply;
    expect(attempt.calls[0]?.deadline).toBe(expected);
  });

  test("an attempt that ran into its own deadline says so", async () => {
    const { clock, attempt, reply } = start({ deadline: 101 });
    await clock.advance(100);
    attempt.fail(exceeded());
    expect(await rejection(reply)).toMatchObject(tooLong);
  });

  test("one that the server gave up when its time was all but over says so too, with what came along", async () => {
    const { clock, attempt, reply } = start();
    await clock.advance(80);
    const trailer = new Metadata({ t: "1" });
    attempt.fail(exceeded({ reason: "STATUS", trailer, headersReceived: true }));
    expect(await rejection(reply)).toMatchObject({ ...tooLong, trailer, headersReceived: true });
  });

  test("one that the server gave up before, says what the server says", async () => {
    const { clock, attempt, reply } = start();
    await clock.advance(79);
    const failure = exceeded({ reason: "STATUS" });
    attempt.fail(failure);
    expect(await rejection(reply)).toBe(failure);
  });

  test("one that the transport gave up early, since the wall clock jumped, says so", async () => {
    const { attempt, reply } = start();
    attempt.fail(exceeded());
    expect(await rejection(reply)).toMatchObject(tooLong);
  });

  test("what was never sent ran into nothing, however late it is", async () => {
    const { clock, attempt, reply } = start();
    await clock.advance(100);
    const failure = exceeded({ reason: "DEADLINE_BEFORE_SEND", attempts: 0 });
    attempt.fail(failure);
    expect(await rejection(reply)).toBe(failure);
  });

  test("one during which the call's own deadline passed says that", async () => {
    const { clock, attempt, reply } = start({ deadline: 101 });
    await clock.advance(101);
    const failure = exceeded();
    attempt.fail(failure);
    expect(await rejection(reply)).toBe(failure);
  });

  test.each([new TypeError("no such property"), "gone", exceeded({ code: Status.ABORTED })])(
    "anything else is handed on as it is: %s",
    async (failure) => {
      const { clock, attempt, reply } = start();
      await clock.advance(100);
      attempt.fail(failure);
      expect(await rejection(reply)).toBe(failure);
    },
  );
});

describe("server-stream", () => {
  const open = (changes: Partial<Call> = {}) => {
    const clock = fakeClock();
    return { clock, ...openStream(attemptDeadlineLayer(100, clock), changes) };
  };

  test("the time begins with the first next(), and the deadline of the call stays as it is", async () => {
    const { clock, attempts, stream, told } = open({ deadline: 500 });
    await clock.advance(300);
    const first = rejection(stream.next());
    await clock.advance(99);
    expect(newest(attempts).left).toBe(0);
    await clock.advance(1);
    expect(await first).toMatchObject({ ...tooLong, attempts: 1, headersReceived: false });
    expect(attempts.calls[0]?.deadline).toBe(500);
    expect([newest(attempts).left, told, clock.pending]).toEqual([1, ["error ATTEMPT_TIMEOUT"], 0]);
    expect(await stream.next()).toEqual(DONE);
  });

  test("of two next() that wait, the first fails and the second is done", async () => {
    const { clock, stream } = open();
    const reads = Promise.allSettled([stream.next(), stream.next()]);
    await clock.advance(100);
    const [first, second] = await reads;
    expect(first).toMatchObject({ status: "rejected", reason: { reason: "ATTEMPT_TIMEOUT" } });
    expect(second).toEqual({ status: "fulfilled", value: DONE });
  });

  test.each<[string, (opened: ReturnType<typeof open>) => void, string]>([
    ["its headers", ({ attempts }) => newest(attempts).headers(new Metadata({ h: "1" })), "headers 1"],
    ["its first message", ({ attempts }) => newest(attempts).message("a"), "first message"],
  ])("a stream that brought %s in time may take as long as it likes", async (_, arrive, sofar) => {
    const opened = open();
    const { clock, attempts, stream, told } = opened;
    const failure = aFailure();
    const reading = rejection(Array.fromAsync({ [Symbol.asyncIterator]: () => stream }));
    await clock.advance(99);
    arrive(opened);
    expect(clock.pending).toBe(0);
    await clock.advance(10_000);
    newest(attempts).message("b");
    newest(attempts).fail(failure);
    expect(await reading).toBe(failure);
    expect([told[0], told.at(-1), clock.pending]).toEqual([sofar, "error STATUS", 0]);
  });

  test("an end in time leaves no timer", async () => {
    const { clock, attempts, stream, told } = open();
    const first = stream.next();
    newest(attempts).succeed();
    expect(await first).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    await clock.advance(1_000);
    expect([told, clock.pending]).toEqual([["ok"], 0]);
  });

  test("a caller that leaves gets its own reason, and leaves no timer", async () => {
    const { clock, attempts, stream, told } = open();
    const first = rejection(stream.next());
    newest(attempts).abort("gone");
    expect(await first).toBe("gone");
    expect([told, clock.pending]).toEqual([["cancelled"], 0]);
  });

  test("return() while a next() waits ends both, and leaves no timer", async () => {
    const { clock, attempts, stream, told } = open();
    const first = stream.next();
    expect(await stream.return()).toBe(DONE);
    expect(await first).toBe(DONE);
    await clock.advance(1_000);
    expect([newest(attempts).left, told, clock.pending]).toEqual([1, ["cancelled"], 0]);
  });

  test("return() before anything, and next() after it, leave no timer", async () => {
    const { clock, stream, told } = open();
    expect(await stream.return()).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    expect(clock.pending).toBe(0);
    await clock.advance(1_000);
    expect(await stream.next()).toBe(DONE);
    expect(told).toEqual(["cancelled"]);
  });

  test("return() in the turn in which its time is over ends what is pending as done", async () => {
    const clock = fakeClock();
    const leaving: (() => void)[] = [];
    const layer = attemptDeadlineLayer(
      100,
      afterTimers(clock, () => leaving.forEach((leave) => void leave())),
    );
    const { stream, told } = openStream(layer);
    leaving.push(() => void stream.return());
    const first = stream.next();
    await clock.advance(100);
    expect(await first).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    expect(told).toEqual(["error ATTEMPT_TIMEOUT"]);
  });
});
