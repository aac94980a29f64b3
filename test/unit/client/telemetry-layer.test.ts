import { describe, expect, onTestFinished, test, vi } from "vitest";
import { deadlineLayer } from "../../../src/client/layers/deadline.ts";
import { telemetryLayer } from "../../../src/client/layers/telemetry.ts";
import { composeStream, composeUnary } from "../../../src/client/pipeline.ts";
import { type CallContext, runInCall } from "../../../src/core/call-context.ts";
import { NO_DEADLINE } from "../../../src/core/deadline.ts";
import { RpcError } from "../../../src/core/errors.ts";
import type { ObserverEvent } from "../../../src/core/observer.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aCall, aMethod, aReply, ScriptedStreams, ScriptedUnary } from "../../support/scripted.ts";

const method = "/test.Service/unary";
const failure = new RpcError({ path: "/p", reason: "STATUS", code: 5, details: "gone" });

function setUp() {
  const clock = fakeClock();
  const events: ObserverEvent[] = [];
  const unary = new ScriptedUnary();
  const streams = new ScriptedStreams();
  return { clock, events, unary, streams, observe: (event: ObserverEvent) => void events.push(event) };
}

describe("a unary call", () => {
  test("is told from its start to its end", async () => {
    const { clock, events, unary, observe } = setUp();
    const reply = telemetryLayer("call", observe, clock).unary(unary.handler, aMethod())(aCall());
    expect(events).toEqual([{ type: "call.started", id: 1, method }]);
    await clock.advance(70);
    unary.reply(aReply("ok"));
    expect((await reply).message).toBe("ok");
    expect(events.slice(1)).toEqual([{ type: "call.ended", id: 1, method, status: "OK", durationMs: 70 }]);
  });

  test("an attempt is told with the time that it has", async () => {
    const { clock, events, unary, observe } = setUp();
    await clock.advance(1_000);
    const call = aCall({ startedAt: 1_000, deadline: 1_300 });
    const reply = telemetryLayer("attempt", observe, clock).unary(unary.handler, aMethod())(call);
    unary.reply(aReply("ok"));
    await reply;
    expect(events).toEqual([
      { type: "attempt.started", id: 1, attempt: 1, method, timeoutMs: 300 },
      { type: "attempt.ended", id: 1, attempt: 1, method, status: "OK", durationMs: 0 },
    ]);
  });

  test.each([
    ["an RpcError", failure, { status: "NOT_FOUND", reason: "STATUS" }],
    ["anything else", new Error("boom"), { status: "INTERNAL", reason: "UNEXPECTED" }],
    ["an abort from elsewhere", new DOMException("stop", "AbortError"), { status: "CANCELLED", reason: "CANCELLED" }],
  ])("that fails with %s says so, and fails with it still", async (_, error, end) => {
    const { clock, events, unary, observe } = setUp();
    const reply = telemetryLayer("call", observe, clock).unary(unary.handler, aMethod())(aCall());
    await clock.advance(5);
    unary.fail(error);
    await expect(reply).rejects.toBe(error);
    expect(events[1]).toEqual({ type: "call.ended", id: 1, method, ...end, durationMs: 5 });
  });

  test.each([
    ["the platform's reason", undefined],
    ["a reason of its own", new Error("enough")],
    ["an RpcError for a reason", failure],
    ["no error at all", "enough"],
  ])("that its caller left is CANCELLED: %s", async (_, reason) => {
    const { clock, events, unary, observe } = setUp();
    const controller = new AbortController();
    const call = aCall({ signal: controller.signal });
    const reply = telemetryLayer("call", observe, clock).unary(unary.handler, aMethod())(call);
    controller.abort(reason);
    unary.fail(controller.signal.reason);
    await expect(reply).rejects.toBe(controller.signal.reason);
    expect(events[1]).toEqual({ type: "call.ended", id: 1, method, status: "CANCELLED", durationMs: 0 });
  });

  test("that failed by itself keeps its status, though its caller left at the same time", async () => {
    const { clock, events, unary, observe } = setUp();
    const controller = new AbortController();
    const call = aCall({ signal: controller.signal });
    const reply = telemetryLayer("call", observe, clock).unary(unary.handler, aMethod())(call);
    unary.fail(failure);
    controller.abort();
    await expect(reply).rejects.toBe(failure);
    expect(events[1]).toMatchObject({ status: "NOT_FOUND", reason: "STATUS" });
  });

  test("that ended with the call being served is CANCELLED, whatever that one's reason", async () => {
    const { clock, events, unary, observe } = setUp();
    const parent = AbortSignal.abort(new RpcError({ path: "", reason: "DRAINING", details: "draining" }));
    const layer = telemetryLayer("call", observe, clock).unary(unary.handler, aMethod());
    const reply = runInCall({ signal: parent } as CallContext, () => layer(aCall()));
    unary.fail(parent.reason);
    await expect(reply).rejects.toBe(parent.reason);
    expect(events[1]).toMatchObject({ status: "CANCELLED" });
  });
});

describe("a stream", () => {
  test.each([
    ["ok", (streams: ScriptedStreams) => streams.streams[0]?.succeed(), { status: "OK" }],
    [
      "error",
      (streams: ScriptedStreams) => streams.streams[0]?.fail(failure),
      { status: "NOT_FOUND", reason: "STATUS" },
    ],
    ["cancelled", (streams: ScriptedStreams) => streams.streams[0]?.return(), { status: "CANCELLED" }],
  ])("is told from its start to its end: %s", async (_, finish, end) => {
    const { clock, events, streams, observe } = setUp();
    const stream = telemetryLayer("call", observe, clock).stream(streams.handler, aMethod())(aCall());
    expect(stream).toBe(streams.streams[0]);
    const next = stream.next().catch(() => {});
    expect(events).toEqual([{ type: "call.started", id: 1, method }]);
    await clock.advance(9);
    finish(streams);
    await next;
    expect(events.slice(1)).toEqual([{ type: "call.ended", id: 1, method, ...end, durationMs: 9 }]);
  });
});

test("what is refused at once, by a throw, has its end told, whatever its shape", async () => {
  const { clock, events, observe } = setUp();
  const layer = telemetryLayer("call", observe, clock);
  const refused = () => {
    throw failure;
  };
  await expect(layer.unary(refused, aMethod())(aCall())).rejects.toBe(failure);
  expect(() => layer.stream(refused, aMethod())(aCall())).toThrow(failure);
  const end = { type: "call.ended", id: 1, method, status: "NOT_FOUND", reason: "STATUS", durationMs: 0 };
  expect(events).toEqual([{ type: "call.started", id: 1, method }, end, { type: "call.started", id: 1, method }, end]);
});

describe("a call and its attempt", () => {
  const types = ["call.started", "attempt.started", "attempt.ended", "call.ended"];
  const layersOf = ({ clock, observe }: ReturnType<typeof setUp>) => ({
    telemetry: telemetryLayer("call", observe, clock),
    deadline: deadlineLayer({ said: 500, otherwise: NO_DEADLINE }, clock),
    attemptTelemetry: telemetryLayer("attempt", observe, clock),
  });

  test("are told from the outside in, and back: unary", async () => {
    const all = setUp();
    const attempt = { unary: all.unary.handler, stream: all.streams.handler };
    const reply = composeUnary(layersOf(all), attempt, aMethod())(aCall());
    all.unary.reply(aReply("ok"));
    await reply;
    expect(all.events.map(({ type }) => type)).toEqual(types);
    expect(all.events[1]).toMatchObject({ timeoutMs: 500 });
  });

  test("are told from the outside in, and back: stream", async () => {
    const all = setUp();
    const attempt = { unary: all.unary.handler, stream: all.streams.handler };
    const stream = composeStream(layersOf(all), attempt, aMethod("server-stream"))(aCall());
    void stream.next();
    all.streams.streams[0]?.succeed();
    expect(all.events.map(({ type }) => type)).toEqual(types);
  });

  test("a call that is refused before it is sent has no attempt", async () => {
    const all = setUp();
    const attempt = { unary: all.unary.handler, stream: all.streams.handler };
    const reply = composeUnary(layersOf(all), attempt, aMethod())(aCall({ options: { timeoutMs: 0 } }));
    await expect(reply).rejects.toMatchObject({ reason: "DEADLINE_BEFORE_SEND" });
    expect(all.events).toEqual([
      { type: "call.started", id: 1, method },
      { type: "call.ended", id: 1, method, status: "DEADLINE_EXCEEDED", reason: "DEADLINE_BEFORE_SEND", durationMs: 0 },
    ]);
  });
});

test("an observer that throws changes nothing for the call", async () => {
  const emit = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => emit.mockRestore());
  const { clock, unary } = setUp();
  const observer = vi.fn(() => {
    throw new Error("from the observer");
  });
  const reply = telemetryLayer("call", observer, clock).unary(unary.handler, aMethod())(aCall());
  unary.reply(aReply("ok"));
  expect((await reply).message).toBe("ok");
  expect(observer).toHaveBeenCalledTimes(2);
  expect(emit).toHaveBeenCalledTimes(1);
});
