import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import type { Call } from "../../../src/core/call.ts";
import { Status } from "../../../src/core/status.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { channelAttempt } from "../../../src/transport/channel-attempt.ts";
import { aCall, aMethod } from "../../support/scripted.ts";
import { ScriptedChannel } from "../../support/scripted-channel.ts";

const done = { done: true, value: undefined };
const value = (message: unknown) => ({ done: false, value: message });

function open(changes: Partial<Call> = {}) {
  const scripted = new ScriptedChannel();
  const clock = fakeClock();
  const stream = channelAttempt(scripted.channel, clock).stream(
    aCall({ method: aMethod("server-stream"), ...changes }),
  );
  const told: unknown[] = [];
  stream.watch({
    onHeaders: (header) => told.push(`headers ${header.get("h")}`),
    onFirstMessage: () => told.push("first message"),
    onEnd: ({ outcome, error, trailer }) =>
      told.push([outcome, ...(error ? [error.reason] : []), ...(trailer ? [...trailer] : [])].join(" ")),
  });
  return { scripted, clock, stream, told };
}

/** A stream whose call is under way: one `next()` waits. */
function opened(changes: Partial<Call> = {}) {
  const set = open(changes);
  const first = set.stream.next();
  return { ...set, first, call: set.scripted.call };
}

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

describe("messages", () => {
  test("the call is sent with the first next(), and not before", () => {
    const { scripted, stream } = open();
    expect(scripted.calls).toEqual([]);
    void stream.next();
    void stream.next();
    expect(scripted.calls.length).toBe(1);
    expect(scripted.call.sent).toEqual(["request", "end"]);
  });

  test("come in order to those that wait, and to those that come late", async () => {
    const { stream, first, call } = opened();
    const second = stream.next();
    for (const message of ["a", "b", "c", "d"]) call.message(message);
    call.status(Status.OK);
    expect(await Promise.all([first, second])).toEqual([value("a"), value("b")]);
    expect([await stream.next(), await stream.next()]).toEqual([value("c"), value("d")]);
    expect([await stream.next(), await stream.next()]).toEqual([done, done]);
  });

  test("watchers hear of headers, first message and end, each once and at once", async () => {
    const { told, call } = opened();
    call.header({ h: "1" });
    call.message("a");
    call.message("b");
    expect(told).toEqual(["headers 1", "first message"]);
    call.status(Status.OK, "", { t: "2" });
    expect(told).toEqual(["headers 1", "first message", "ok t,2"]);
  });

  test("are read ahead up to 64 KiB, small ones as 256 bytes more than they are", async () => {
    const { stream, call } = opened();
    const small = Math.ceil((64 * 1024) / (256 + 3));
    call.message("a");
    for (let message = 0; message < small - 1; message++) call.message("b");
    const reads = call.reads;
    call.message("c");
    expect(call.reads).toBe(reads);
    await stream.next();
    expect(call.reads).toBe(reads + 1);
    call.message("d");
    expect(call.reads).toBe(reads + 1);
  });

  test("one as long as the bound is not followed by another until it is taken", async () => {
    const { stream, call } = opened();
    call.message("first");
    const reads = call.reads;
    call.message("x".repeat(64 * 1024));
    expect(call.reads).toBe(reads);
    await stream.next();
    expect(call.reads).toBe(reads + 1);
  });
});

describe("a failure", () => {
  test("comes after the messages that came before it, once", async () => {
    const { stream, first, told, call } = opened();
    call.message("a");
    call.message("b");
    call.status(Status.UNAVAILABLE, "down", { t: "2" });
    expect(told.at(-1)).toBe("error STATUS t,2");
    expect([await first, await stream.next()]).toEqual([value("a"), value("b")]);
    await expect(stream.next()).rejects.toMatchObject({ reason: "STATUS", details: "down" });
    expect(await stream.next()).toEqual(done);
  });

  test("goes to the first of those that wait; the others are done", async () => {
    const { stream, first, call } = opened();
    const others = [stream.next(), stream.next()];
    call.status(Status.UNAVAILABLE);
    await expect(first).rejects.toMatchObject({ reason: "TRANSPORT" });
    expect(await Promise.all(others)).toEqual([done, done]);
    expect(await stream.next()).toEqual(done);
  });

  test("to begin is one of the first next()", async () => {
    const { scripted, stream, told } = open();
    scripted.closed = true;
    await expect(stream.next()).rejects.toMatchObject({ reason: "CLIENT_CLOSED", attempts: 0 });
    expect(await stream.next()).toEqual(done);
    expect(told).toEqual(["error CLIENT_CLOSED"]);
  });

  test.each([
    ["nobody waits for the next one", 0],
    ["others wait too", 2],
  ])("to decode a message ends the stream, tells the server, and is told once: %s", async (_, waiting) => {
    const { stream, first, told, call } = opened();
    const others = Array.from({ length: waiting }, () => stream.next());
    call.bytes("{");
    call.message("late");
    await expect(first).rejects.toMatchObject({ reason: "RESPONSE_NOT_DECODABLE", headersReceived: true });
    expect(await Promise.all(others)).toEqual(others.map(() => done));
    expect(await stream.next()).toEqual(done);
    expect(call.cancelled).toBeDefined();
    expect(told).toEqual(["error RESPONSE_NOT_DECODABLE"]);
  });

  test("to decode a message that was read ahead drops those behind it", async () => {
    const { stream, first, call } = opened();
    call.message("a");
    call.bytes("{");
    call.message("b");
    await first;
    await expect(stream.next()).rejects.toMatchObject({ reason: "RESPONSE_NOT_DECODABLE" });
    expect(await stream.next()).toEqual(done);
    expect(call.cancelled).toBeDefined();
  });

  test("D2 CANCELLED is what it says 1 ms before the deadline, and DEADLINE_EXCEEDED at it", async () => {
    const early = opened({ deadline: 300 });
    await early.clock.advance(299);
    early.call.status(Status.CANCELLED);
    await expect(early.first).rejects.toMatchObject({ reason: "CANCELLED" });

    const late = opened({ deadline: 300 });
    await late.clock.advance(300);
    late.call.status(Status.CANCELLED);
    await expect(late.first).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED", code: Status.DEADLINE_EXCEEDED });
  });
});

describe("leaving", () => {
  test("before the first next() sends nothing, and is told", async () => {
    const { scripted, stream, told } = open();
    expect([await stream.return(), await stream.next(), await stream.return()]).toEqual([done, done, done]);
    expect(scripted.calls).toEqual([]);
    expect(told).toEqual(["cancelled"]);
  });

  test("while a next() waits ends it as done and tells the server", async () => {
    const { stream, first, told, call } = opened();
    const second = stream.next();
    expect(await stream.return()).toEqual(done);
    expect(await Promise.all([first, second])).toEqual([done, done]);
    expect(call.cancelled).toEqual({ code: Status.CANCELLED, details: "cancelled by the client" });
    expect(told).toEqual(["cancelled"]);
  });

  test("drops what was read ahead, and what comes late", async () => {
    const { stream, first, told, call } = opened();
    call.message("a");
    call.message("b");
    await first;
    await stream.return();
    call.header();
    call.message("c");
    call.status(Status.OK);
    expect(await stream.next()).toEqual(done);
    expect(told).toEqual(["first message", "cancelled"]);
  });

  test("after the end changes nothing of it, and cancels nothing", async () => {
    const { stream, told, call } = opened();
    call.status(Status.OK);
    await stream.return();
    expect(told).toEqual(["ok"]);
    expect(call.cancelled).toBeUndefined();
  });

  test("before a failure was read drops it", async () => {
    const { stream, first, told, call } = opened();
    call.message("a");
    call.status(Status.UNAVAILABLE);
    await first;
    await stream.return();
    expect(await stream.next()).toEqual(done);
    expect(told).toEqual(["first message", "error TRANSPORT"]);
  });
});

describe("a caller whose signal aborts", () => {
  test("gets its own reason at once; those behind it are done", async () => {
    const controller = new AbortController();
    const { stream, first, told, call } = opened({ signal: controller.signal });
    const second = stream.next();
    controller.abort("enough");
    await expect(first).rejects.toBe("enough");
    expect([await second, await stream.next()]).toEqual([done, done]);
    expect(call.cancelled).toBeDefined();
    expect(told).toEqual(["cancelled"]);
  });

  test("between two messages is heard at once, and what was read ahead is dropped", async () => {
    const controller = new AbortController();
    const { stream, first, told, call } = opened({ signal: controller.signal });
    call.message("a");
    call.message("b");
    await first;
    controller.abort("enough");
    expect(told).toEqual(["first message", "cancelled"]);
    await expect(stream.next()).rejects.toBe("enough");
    expect(await stream.next()).toEqual(done);
  });

  test("before the first next() sends nothing", async () => {
    const { scripted, stream, told } = open({ signal: AbortSignal.abort("gone") });
    await expect(stream.next()).rejects.toBe("gone");
    expect(await stream.next()).toEqual(done);
    expect([scripted.calls, told]).toEqual([[], ["cancelled"]]);
  });

  test.each([
    ["ended", (set: ReturnType<typeof opened>) => set.call.status(Status.OK)],
    ["failed", (set: ReturnType<typeof opened>) => set.call.status(Status.ABORTED)],
    ["was left", (set: ReturnType<typeof opened>) => set.stream.return()],
    ["could not be decoded", (set: ReturnType<typeof opened>) => set.call.bytes("{")],
  ])("has no listener left on its signal once the stream %s", async (_, end) => {
    const { signal } = new AbortController();
    const set = opened({ signal });
    expect(listeners(signal)).toBe(1);
    await end(set);
    await set.first.catch(() => {});
    expect(listeners(signal)).toBe(0);
  });

  test("may abort after the end, which changes nothing", async () => {
    const controller = new AbortController();
    const { stream, first, call } = opened({ signal: controller.signal });
    call.message("a");
    call.message("b");
    call.status(Status.OK);
    await first;
    controller.abort("enough");
    expect([await stream.next(), await stream.next()]).toEqual([value("b"), done]);
  });
});
