import { describe, expect, test } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { RpcError } from "../../../src/core/errors.ts";
import type { Observer, ObserverEvent } from "../../../src/core/observer.ts";
import {
  EndListeners,
  type ServedContext,
  type ServedEnd,
  type ServerLayer,
  type ServeStream,
} from "../../../src/core/served-call.ts";
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

function aContext(changes: Partial<ServedContext> = {}): ServedContext {
  const context = { method, signal: new AbortController().signal, remainingMs: () => 100, ...changes };
  return context as ServedContext;
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
    "heartbeat",
    "standing",
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
    const of = (observer?: Observer) => Object.keys(serverLayers(OrderService, observer, fakeClock()));
    expect(of()).not.toContain("telemetry");
    expect(of(() => {})).toContain("telemetry");
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

describe("telemetry tells when calls arrive and end, and with what their clients are answered", () => {
  const setUp = () => {
    const clock = fakeClock();
    const events: ObserverEvent[] = [];
    const ends = new EndListeners();
    const context = aContext({ onEnd: (listener) => ends.add(listener) });
    return { clock, events, ends, context, layer: telemetryLayer((event) => void events.push(event), clock) };
  };
  const refusal = new RpcError({ path: "", reason: "REFUSED", code: 5, details: "no" });
  const shapes: [string, (layer: ServerLayer, context: ServedContext) => unknown][] = [
    ["unary", (layer, context) => layer.unary(async () => "ok", method)("request", context)],
    ["stream", (layer, context) => layer.stream(() => ReadableStream.from(["a"]), method)("request", context)],
  ];

  test.each(shapes)("%s: once each, by one id", async (_, serve) => {
    const { clock, events, ends, context, layer } = setUp();
    serve(layer, context);
    const id = expect.any(Number);
    expect(events).toEqual([{ type: "served.started", id, method: path }]);
    await clock.advance(70);
    ends.tell({ outcome: "ok" });
    ends.tell({ outcome: "ok" });
    expect(events.slice(1)).toEqual([{ type: "served.ended", id, method: path, status: "OK", durationMs: 70 }]);
    expect(events[1]?.id).toBe(events[0]?.id);
  });

  test("at once, where the call ended before it came to the layer", () => {
    const { events, ends, context, layer } = setUp();
    ends.tell({ outcome: "cancelled" });
    for (const [, serve] of shapes) serve(layer, context);
    expect(events.map(({ type }) => type)).toEqual([
      "served.started",
      "served.ended",
      "served.started",
      "served.ended",
    ]);
  });

  test("two calls have two ids", () => {
    const { events, context, layer } = setUp();
    for (const [, serve] of shapes) serve(layer, context);
    expect(new Set(events.map(({ id }) => id)).size).toBe(2);
  });

  test("a stream is handed on as it is: no step of it costs more", () => {
    const { context, layer } = setUp();
    const stream = ReadableStream.from(["a"]);
    expect(layer.stream(() => stream, method)("request", context)).toBe(stream);
  });

  test.each<[string, ServedEnd, object]>([
    ["an error", { outcome: "error", error: refusal }, { status: "NOT_FOUND", reason: "REFUSED" }],
    ["a client that is gone", { outcome: "cancelled" }, { status: "CANCELLED" }],
  ])("%s", (_, end, state) => {
    const { events, ends, context, layer } = setUp();
    layer.unary(async () => "ok", method)("request", context);
    ends.tell(end);
    expect(events[1]).toMatchObject({ type: "served.ended", method: path, ...state });
  });
});
