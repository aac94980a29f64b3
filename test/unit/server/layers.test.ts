import { describe, expect, test } from "vitest";
import type { CallContext } from "../../../src/core/call-context.ts";
import { RpcError } from "../../../src/core/errors.ts";
import type { ObserverEvent } from "../../../src/core/observer.ts";
import type { ServerLayer, ServeStream } from "../../../src/core/served-call.ts";
import { deadlineLayer } from "../../../src/server/layers/deadline.ts";
import { serverLayers } from "../../../src/server/layers/index.ts";
import { telemetryLayer } from "../../../src/server/layers/telemetry.ts";
import {
  composeServeStream,
  composeServeUnary,
  SERVER_ORDER,
  type ServerLayers,
} from "../../../src/server/pipeline.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aMethod } from "../../support/scripted.ts";

const method = aMethod();
const path = method.path;

function aContext(changes: Partial<CallContext> = {}): CallContext {
  const context = { method, signal: new AbortController().signal, remainingMs: () => 100, ...changes };
  return context as CallContext;
}

describe("the order is fixed, outermost first", () => {
  const expected = [
    "telemetry",
    "deadline",
    "shed",
    "authentication",
    "permission",
    "rateLimit",
    "validation",
    "idempotency",
    "handler",
  ];
  const noting = (place: string, passed: string[]): ServerLayer => {
    const note =
      <In extends unknown[], Out>(next: (...call: In) => Out) =>
      (...call: In) => {
        passed.push(place);
        return next(...call);
      };
    return { unary: note, stream: note };
  };
  const all = (passed: string[]): ServerLayers =>
    Object.fromEntries([...SERVER_ORDER].reverse().map((place) => [place, noting(place, passed)]));

  test("unary", async () => {
    const passed: string[] = [];
    await composeServeUnary(all(passed), async () => passed.push("handler"), method)("request", aContext());
    expect(passed).toEqual(expected);
  });

  test("stream", async () => {
    const passed: string[] = [];
    const handler: ServeStream = async function* () {
      yield passed.push("handler");
    };
    await Array.fromAsync(composeServeStream(all(passed), handler, method)("request", aContext()));
    expect(passed).toEqual(expected);
  });

  test("without layers the handler itself is called", () => {
    const unary = async () => "";
    const stream: ServeStream = async function* () {
      yield "";
    };
    expect(composeServeUnary({}, unary, method)).toBe(unary);
    expect(composeServeStream({}, stream, method)).toBe(stream);
  });

  test("telemetry is there only for an observer", () => {
    expect(Object.keys(serverLayers(undefined, fakeClock()))).toEqual(["deadline"]);
    expect(Object.keys(serverLayers(() => {}, fakeClock())).sort()).toEqual(["deadline", "telemetry"]);
  });
});

describe("D3 work that is too late is refused before its handler runs", () => {
  const late = { code: 4, details: "the deadline passed before the handler began", reason: "REFUSED" };

  test("unary", async () => {
    const serve = deadlineLayer.unary(async () => expect.unreachable(), method);
    await expect(serve("request", aContext({ remainingMs: () => 0 }))).rejects.toMatchObject(late);
  });

  test("stream", () => {
    const serve = deadlineLayer.stream(() => expect.unreachable(), method);
    expect(() => serve("request", aContext({ remainingMs: () => 0 }))).toThrow(expect.objectContaining(late));
  });

  test.each([0.001, 1, Number.POSITIVE_INFINITY])("with %d ms left it is done", async (remainingMs) => {
    const context = aContext({ remainingMs: () => remainingMs });
    expect(await deadlineLayer.unary(async () => "ok", method)("request", context)).toBe("ok");
    const stream = deadlineLayer.stream(() => ReadableStream.from(["ok"]), method)("request", context);
    expect(await Array.fromAsync(stream)).toEqual(["ok"]);
  });
});

describe("telemetry tells when handlers begin and end, and with what their clients are answered", () => {
  const setUp = () => {
    const clock = fakeClock();
    const events: ObserverEvent[] = [];
    return { clock, events, layer: telemetryLayer((event) => void events.push(event), clock) };
  };
  const refusal = new RpcError({ path: "", reason: "REFUSED", code: 5, details: "no" });
  const downstream = new RpcError({ path: "/other", reason: "STATUS", code: 14, details: "down" });
  const drain = new RpcError({ path, reason: "DRAINING", origin: "local", details: "draining" });
  const deadline = new RpcError({ path, reason: "DEADLINE_EXCEEDED", details: "passed" });
  const left = new DOMException("left", "AbortError");

  test("unary: what it answers", async () => {
    const { clock, events, layer } = setUp();
    const answer = Promise.withResolvers<string>();
    const served = layer.unary(() => answer.promise, method)("request", aContext());
    expect(events).toEqual([{ type: "served.started", method: path }]);
    await clock.advance(70);
    answer.resolve("ok");
    expect(await served).toBe("ok");
    expect(events[1]).toEqual({ type: "served.ended", method: path, status: "OK", durationMs: 70 });
  });

  test("stream: as it is read", async () => {
    const { clock, events, layer } = setUp();
    const stream = layer.stream(() => ReadableStream.from(["a", "b"]), method)("request", aContext());
    const messages = stream[Symbol.asyncIterator]();
    await messages.next();
    await clock.advance(9);
    await messages.next();
    expect(await messages.next()).toMatchObject({ done: true });
    expect(events).toEqual([
      { type: "served.started", method: path },
      { type: "served.ended", method: path, status: "OK", durationMs: 9 },
    ]);
  });

  test.each([
    ["a refusal", refusal, { status: "NOT_FOUND", reason: "REFUSED" }],
    ["another service's failure", downstream, { status: "INTERNAL", reason: "UNEXPECTED" }],
    ["anything else", new Error("boom"), { status: "INTERNAL", reason: "UNEXPECTED" }],
    ["nothing at all", undefined, { status: "INTERNAL", reason: "UNEXPECTED" }],
  ])("%s", async (_, error, end) => {
    const { events, layer } = setUp();
    const fails = async () => Promise.reject(error);
    const next = () => ({ [Symbol.asyncIterator]: () => ({ next: fails }) });
    await expect(layer.unary(fails, method)("request", aContext())).rejects.toBe(error);
    await expect(Array.fromAsync(layer.stream(next, method)("request", aContext()))).rejects.toBe(error);
    const ended = { type: "served.ended", method: path, durationMs: 0, ...end };
    expect([events[1], events[3]]).toEqual([ended, ended]);
  });

  test.each([
    ["left", left, { status: "CANCELLED" }],
    ["was late", deadline, { status: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" }],
    ["was drained away", drain, { status: "UNAVAILABLE", reason: "DRAINING" }],
  ])("whatever a handler does once its client %s", async (_, reason, end) => {
    const { events, layer } = setUp();
    const context = aContext({ signal: AbortSignal.abort(reason) });
    const serve = layer.unary(async () => "late", method);
    await serve("request", context);
    const failing = layer.unary(async () => Promise.reject(new Error("stopped")), method);
    await failing("request", context).catch(() => {});
    const ended = { type: "served.ended", method: path, durationMs: 0, ...end };
    expect([events[1], events[3]]).toEqual([ended, ended]);
  });

  test("a stream that is left at a message ends once", async () => {
    const { events, layer } = setUp();
    const context = aContext({ signal: AbortSignal.abort(left) });
    const stream = layer.stream(() => ReadableStream.from(["a", "b"]), method)("request", context);
    for await (const _ of stream) break;
    expect(events.map(({ type }) => type)).toEqual(["served.started", "served.ended"]);
    expect(events[1]).toMatchObject({ status: "CANCELLED" });
  });
});
