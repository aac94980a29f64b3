import { Metadata } from "nice-grpc-common";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { DONE, type MessageStream } from "../../../src/core/message-stream.ts";
import { Status } from "../../../src/core/status.ts";
import { afterTimers, newest, openStream, tellingOf } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure, aPushback, NOTHING_LEFT, type Retrying, retrying, toldOf } from "../../support/retrying.ts";
import { aCall, aMethod, ScriptedStreams } from "../../support/scripted.ts";

/** A stream through a retry layer, and the attempts below it. */
function open(policy: Retrying = {}, changes: Parameters<typeof openStream>[1] = {}) {
  const set = retrying(policy);
  return { ...set, ...openStream(set.layer, { signal: set.controller.signal, ...changes }) };
}

type Opened = ReturnType<typeof open>;

const header = new Metadata({ h: "1" });
const value = (message: unknown) => ({ done: false, value: message });

/** Reads the first message, whatever comes of it. */
function read(stream: MessageStream): Promise<IteratorResult<unknown, undefined>> {
  const next = stream.next();
  next.catch(() => {});
  return next;
}

/** Fails the first attempt and waits until the second one is under way. */
async function toSecond({ attempts, clock }: Pick<Opened, "attempts" | "clock">): Promise<void> {
  newest(attempts).fail(aFailure());
  await clock.advance(50);
  expect(attempts.streams).toHaveLength(2);
}

describe("watchers", () => {
  test("hear of the attempt that is committed alone: headers, first message, end", async () => {
    const opened = open();
    const { attempts, clock, stream, told } = opened;
    const first = read(stream);
    await toSecond(opened);
    newest(attempts).fail(aFailure());
    await clock.advance(100);
    expect(told).toEqual([]);
    newest(attempts).headers(header);
    expect(told).toEqual(["headers 1"]);
    newest(attempts).message("a");
    newest(attempts).message("b");
    expect(told).toEqual(["headers 1", "first message"]);
    expect(await first).toEqual(value("a"));
    expect(await stream.next()).toEqual(value("b"));
    const end = read(stream);
    newest(attempts).succeed();
    expect(await end).toBe(DONE);
    expect(told).toEqual(["headers 1", "first message", "ok"]);
  });

  test("get the last attempt's trailers when there is no other", async () => {
    const opened = open({ maxAttempts: 2 });
    const { attempts, clock, stream } = opened;
    const onEnd = vi.fn();
    stream.watch({ onEnd });
    const first = read(stream);
    await toSecond(opened);
    const trailer = new Metadata({ t: "2" });
    newest(attempts).fail(aFailure({ trailer }));
    await clock.advance(0);
    const error = await rejection(first);
    expect(onEnd).toHaveBeenCalledExactlyOnceWith({ outcome: "error", error, trailer });
    expect(error).toMatchObject({ attempts: 2, retryStop: "MAX_ATTEMPTS" });
  });

  test("that throw keep neither the others nor the reader from anything", async () => {
    const emit = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => emit.mockRestore());
    const { attempts, stream, left } = open();
    const throwing = vi.fn(() => {
      throw new Error("a watcher's own");
    });
    stream.watch({ onHeaders: throwing, onFirstMessage: throwing, onEnd: throwing });
    const last: string[] = [];
    stream.watch({ onEnd: ({ outcome }) => last.push(outcome) });
    const first = read(stream);
    newest(attempts).headers(header);
    newest(attempts).message("a");
    newest(attempts).succeed();
    expect(await first).toEqual(value("a"));
    expect([last, left()]).toEqual([["ok"], NOTHING_LEFT]);
    expect(throwing).toHaveBeenCalledTimes(3);
    expect(emit).toHaveBeenCalledTimes(1);
  });
});

describe("R3 a stream is committed", () => {
  test.each<[string, (attempts: ScriptedStreams) => void, string[]]>([
    ["headers", (attempts) => newest(attempts).headers(header), ["headers 1"]],
    ["its first message", (attempts) => newest(attempts).message("a"), ["first message"]],
  ])("by %s: what breaks it then ends the call, and says how many attempts there were", async (_, commit, sofar) => {
    const opened = open({ maxAttempts: 5 });
    const { attempts, clock, stream, told, events, left } = opened;
    const first = read(stream);
    await toSecond(opened);
    commit(attempts);
    const reads = Promise.allSettled([first, read(stream), read(stream)]);
    newest(attempts).fail(aFailure({ details: "the disk is gone", headersReceived: true }));
    const error = (await reads).find((result) => result.status === "rejected")?.reason;
    expect(error).toMatchObject({
      ...{ code: Status.UNAVAILABLE, reason: "STATUS", origin: "wire", details: "the disk is gone" },
      ...{ attempts: 2, retryStop: "COMMITTED", headersReceived: true },
      message: "/test.Service/unary UNAVAILABLE: the disk is gone (after 2 attempts; no further one: COMMITTED)",
      failures: [
        { attempt: 1, details: "down" },
        { attempt: 2, details: "the disk is gone" },
      ],
    });
    expect(await stream.next()).toEqual(DONE);
    await clock.advance(1_000);
    expect(attempts.streams).toHaveLength(2);
    expect(told).toEqual([...sofar, "error STATUS"]);
    expect(toldOf(events).at(-1)).toEqual([
      "retry",
      "denied",
      { because: "COMMITTED", attempts: 2, status: "UNAVAILABLE" },
    ]);
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("and says so of a first attempt too, with what its watchers were told", async () => {
    const { attempts, stream } = open();
    const onEnd = vi.fn();
    stream.watch({ onEnd });
    const first = read(stream);
    newest(attempts).message("a");
    await first;
    const second = read(stream);
    newest(attempts).fail(aFailure({ headersReceived: true }));
    const error = await rejection(second);
    expect(error).toMatchObject({ attempts: 1, retryStop: "COMMITTED", failures: [{ attempt: 1 }] });
    expect(onEnd.mock.calls[0]?.[0].error).toBe(error);
  });

  test("messages that came before the end are read before its error", async () => {
    const { attempts, stream, told } = open();
    const first = read(stream);
    newest(attempts).message("a");
    newest(attempts).message("b");
    newest(attempts).fail(aFailure({ headersReceived: true }));
    expect(told).toEqual(["first message", "error STATUS"]);
    expect(await first).toEqual(value("a"));
    expect(await stream.next()).toEqual(value("b"));
    expect(await rejection(stream.next())).toMatchObject({ retryStop: "COMMITTED" });
    expect(await stream.next()).toEqual(DONE);
  });

  test("a program's own mistake comes through as it is", async () => {
    const { attempts, stream, told } = open();
    const first = read(stream);
    newest(attempts).message("a");
    await first;
    const mistake = new TypeError("no such property");
    newest(attempts).fail(mistake);
    expect(await rejection(stream.next())).toBe(mistake);
    expect(told).toEqual(["first message", "error UNEXPECTED"]);
  });

  test("a caller that leaves gets its own reason, once, between two messages too", async () => {
    const { attempts, stream, told, controller, left } = open();
    const first = read(stream);
    newest(attempts).message("a");
    await first;
    controller.abort("gone");
    newest(attempts).abort("gone");
    expect(told).toEqual(["first message", "cancelled"]);
    expect(await rejection(stream.next())).toBe("gone");
    expect(await stream.next()).toEqual(DONE);
    expect(left()).toEqual(NOTHING_LEFT);
  });
});

describe("an end without an error", () => {
  test("of trailers alone is the end, and an answer to the throttle", async () => {
    const opened = open({ retryThrottling: { maxTokens: 10, tokenRatio: 0.5 } });
    const { attempts, stream, told, share, left } = opened;
    const first = read(stream);
    await toSecond(opened);
    newest(attempts).succeed();
    expect(await first).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    expect([told, attempts.streams.length]).toEqual([["ok"], 2]);
    expect([share.throttling.snapshot().tokens, left()]).toEqual([9.5, NOTHING_LEFT]);
  });

  test("after headers and no message is one answer too", async () => {
    const opened = open({ retryThrottling: { maxTokens: 10, tokenRatio: 0.5 } });
    const { attempts, stream, told, share } = opened;
    const first = read(stream);
    await toSecond(opened);
    newest(attempts).headers(header);
    newest(attempts).succeed();
    expect(await first).toBe(DONE);
    expect([told, share.throttling.snapshot().tokens]).toEqual([["headers 1", "ok"], 9.5]);
  });

  test("counts as one answer, however much came before it", async () => {
    const opened = open({ retryThrottling: { maxTokens: 10, tokenRatio: 0.1 } });
    const { attempts, stream, share } = opened;
    const first = read(stream);
    await toSecond(opened);
    newest(attempts).headers(header);
    expect(share.throttling.snapshot().tokens).toBe(9);
    newest(attempts).message("a");
    newest(attempts).message("b");
    newest(attempts).succeed();
    await first;
    expect(share.throttling.snapshot().tokens).toBe(9.1);
  });
});

describe("R11 the budget", () => {
  test.each<[string, (attempts: ScriptedStreams) => void]>([
    ["headers have come", (attempts) => newest(attempts).headers(header)],
    ["a message has come", (attempts) => newest(attempts).message("a")],
  ])("is not held by a stream that stays open, as soon as %s", async (_, commit) => {
    const opened = open();
    const { attempts, stream, share } = opened;
    void read(stream);
    await toSecond(opened);
    expect(share.budget.snapshot()).toEqual({ calls: 1, extraAttempts: 1, inFlight: 1 });
    commit(attempts);
    expect(share.budget.snapshot()).toEqual({ calls: 1, extraAttempts: 1, inFlight: 0 });
  });
});

describe("two next() at once", () => {
  test("get the messages in order, though the first attempt fails", async () => {
    const opened = open();
    const { attempts, clock, stream } = opened;
    const reads = Promise.all([read(stream), read(stream), read(stream)]);
    await toSecond(opened);
    newest(attempts).message("a");
    newest(attempts).message("b");
    await clock.advance(0);
    newest(attempts).succeed();
    expect(await reads).toEqual([value("a"), value("b"), DONE]);
  });

  test("ask the attempt for one message after the other until it is committed", async () => {
    const opened = open();
    const { attempts, clock, stream } = opened;
    void read(stream);
    void read(stream);
    await toSecond(opened);
    expect(newest(attempts).asked).toBe(1);
    newest(attempts).message("a");
    await clock.advance(0);
    expect(newest(attempts).asked).toBe(2);
    void read(stream);
    newest(attempts).message("b");
    await clock.advance(0);
    expect(newest(attempts).asked).toBe(3);
  });

  test("after the commit go straight to it", async () => {
    const { attempts, stream } = open();
    const first = read(stream);
    newest(attempts).message("a");
    await first;
    const rest = Promise.all([stream.next(), stream.next()]);
    expect(newest(attempts).asked).toBe(3);
    newest(attempts).message("b");
    newest(attempts).succeed();
    expect(await rest).toEqual([value("b"), DONE]);
  });

  test("fail once: the second is done", async () => {
    const { attempts, clock, stream, told } = open();
    const reads = Promise.allSettled([stream.next(), stream.next()]);
    newest(attempts).fail(aPushback("-1"));
    await clock.advance(0);
    const [first, second] = await reads;
    expect(first).toMatchObject({ status: "rejected", reason: { retryStop: "PUSHBACK" } });
    expect(second).toEqual({ status: "fulfilled", value: DONE });
    expect(await stream.next()).toBe(DONE);
    expect(told).toEqual(["error STATUS"]);
  });

  test.each<[string, (opened: Opened) => Promise<void>, (opened: Opened) => void]>([
    ["during an attempt", async () => {}, ({ attempts }) => newest(attempts).abort("gone")],
    ["during the wait", failAgain, () => {}],
  ])("and a caller that leaves %s: the first gets its reason, the second is done", async (_, to, abortAttempt) => {
    const opened = open();
    const { attempts, clock, stream, told, controller, left } = opened;
    const reads = Promise.allSettled([stream.next(), stream.next()]);
    await toSecond(opened);
    await to(opened);
    controller.abort("gone");
    abortAttempt(opened);
    expect(await reads).toEqual([
      { status: "rejected", reason: "gone" },
      { status: "fulfilled", value: DONE },
    ]);
    expect([told, left()]).toEqual([["cancelled"], NOTHING_LEFT]);
    await clock.advance(1_000);
    expect(attempts.streams).toHaveLength(2);
  });
});

async function failAgain({ attempts, clock }: Opened): Promise<void> {
  newest(attempts).fail(aFailure());
  await clock.advance(50);
}

describe("return()", () => {
  test("before anything opens nothing", async () => {
    const { attempts, stream, told, left } = open();
    expect(await stream.return()).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    expect(await stream.return()).toBe(DONE);
    expect([attempts.streams, told, left()]).toEqual([[], ["cancelled"], NOTHING_LEFT]);
  });

  const points: [string, (opened: Opened) => Promise<void>, string[]][] = [
    ["while the first message is waited for", async () => {}, ["cancelled"]],
    ["while the second attempt's is", (opened) => toSecond(opened), ["cancelled"]],
    [
      "during the wait",
      async ({ attempts, clock }) => {
        newest(attempts).fail(aFailure());
        await clock.advance(49);
      },
      ["cancelled"],
    ],
    ["after headers", async ({ attempts }) => newest(attempts).headers(header), ["headers 1", "cancelled"]],
  ];

  test.each(points)("%s ends what is pending as done, and there is no further attempt", async (_, to, expected) => {
    const opened = open();
    const { attempts, clock, stream, told, left } = opened;
    const first = read(stream);
    await to(opened);
    const made = attempts.streams.length;
    const returned = stream.return();
    expect(await returned).toBe(DONE);
    expect(await first).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    await clock.advance(1_000);
    expect([attempts.streams.length, told, left()]).toEqual([made, expected, NOTHING_LEFT]);
  });

  test("in the turn in which the attempt fails, is the end", async () => {
    const { attempts, clock, stream, told, left } = open();
    const first = read(stream);
    newest(attempts).fail(aFailure());
    expect(await stream.return()).toBe(DONE);
    expect(await first).toBe(DONE);
    await clock.advance(1_000);
    expect([attempts.streams.length, told, left()]).toEqual([1, ["cancelled"], NOTHING_LEFT]);
  });

  test("in the turn in which the wait is over, is the end", async () => {
    const leaving: (() => void)[] = [];
    const leave = () => leaving.forEach((leave) => void leave());
    const { attempts, clock, stream, told, left } = open({ clockOf: (clock) => afterTimers(clock, leave) });
    leaving.push(() => void stream.return());
    const first = read(stream);
    newest(attempts).fail(aFailure());
    await clock.advance(50);
    expect(await first).toBe(DONE);
    expect([attempts.streams.length, told, left()]).toEqual([1, ["cancelled"], NOTHING_LEFT]);
  });

  test("between two messages leaves the attempt", async () => {
    const { attempts, stream, told, left } = open();
    const first = read(stream);
    newest(attempts).message("a");
    newest(attempts).message("b");
    expect(await first).toEqual(value("a"));
    expect(await stream.return()).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    expect([newest(attempts).left, told, left()]).toEqual([1, ["first message", "cancelled"], NOTHING_LEFT]);
  });

  test.each<[string, (attempts: ScriptedStreams) => void, string]>([
    ["its end", (attempts) => newest(attempts).succeed(), "ok"],
    ["its error", (attempts) => newest(attempts).fail(aPushback("-1")), "error STATUS"],
  ])("after %s changes nothing", async (_, end, expected) => {
    const { attempts, clock, stream, told, left } = open();
    const first = read(stream);
    end(attempts);
    await first.catch(() => {});
    expect(await stream.return()).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    await clock.advance(1_000);
    expect([attempts.streams.length, told, left()]).toEqual([1, [expected], NOTHING_LEFT]);
  });

  test("leaves a waiting next() of its own, and those behind it", async () => {
    const opened = open();
    const reads = Promise.all([read(opened.stream), read(opened.stream), read(opened.stream)]);
    await toSecond(opened);
    await opened.stream.return();
    expect(await reads).toEqual([DONE, DONE, DONE]);
  });
});

test("nothing is opened before the first next(), and then at once", () => {
  const { attempts, stream } = open();
  expect(attempts.streams).toHaveLength(0);
  void read(stream);
  expect(attempts.streams).toHaveLength(1);
});

test("an attempt that cannot be opened ends the call, and leaves nothing", async () => {
  const { layer, clock, left } = retrying();
  const first = new ScriptedStreams();
  const mistake = new TypeError("no such property");
  const broken = () => {
    throw mistake;
  };
  const handlers = [first.handler, broken];
  const method = aMethod("server-stream");
  const stream = layer.stream((call) => (handlers.shift() ?? expect.unreachable())(call), method)(aCall({ method }));
  const told = tellingOf(stream);
  const next = read(stream);
  newest(first).fail(aFailure());
  await clock.advance(50);
  expect(await rejection(next)).toBe(mistake);
  expect(await stream.next()).toBe(DONE);
  expect([told, left()]).toEqual([["error UNEXPECTED"], NOTHING_LEFT]);
});
