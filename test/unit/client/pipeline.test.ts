import { describe, expect, test } from "vitest";
import {
  composeStream,
  composeUnary,
  type Layers,
  type Place,
  STREAM_ORDER,
  UNARY_ORDER,
} from "../../../src/client/pipeline.ts";
import type { Layer } from "../../../src/core/call.ts";
import { aCall, aMethod, aReply, ScriptedStream } from "../../support/scripted.ts";

/** A layer that writes its place down when a call passes. */
function notingLayer(place: string, passed: string[]): Layer {
  const note =
    <In, Out>(next: (call: In) => Out) =>
    (call: In) => {
      passed.push(place);
      return next(call);
    };
  return { unary: note, stream: note };
}

function allLayers(passed: string[]): Layers {
  // Backwards, so that the order of the record's keys cannot be what decides.
  const places = [...new Set<Place>([...STREAM_ORDER, ...UNARY_ORDER])].reverse();
  return Object.fromEntries(places.map((place) => [place, notingLayer(place, passed)]));
}

describe("the order is fixed, outermost first", () => {
  test("unary", async () => {
    const passed: string[] = [];
    const attempt = { unary: async () => aReply(passed.push("attempt")), stream: () => new ScriptedStream() };
    await composeUnary(allLayers(passed), attempt, aMethod())(aCall());
    expect(passed).toEqual([
      "criticality",
      "telemetry",
      "deadline",
      "idempotencyKey",
      "fallback",
      "callCredentials",
      "cache",
      "coalesce",
      "batch",
      "throttle",
      "retryOrHedge",
      "credentials",
      "breaker",
      "bulkhead",
      "attemptDeadline",
      "attemptTelemetry",
      "attempt",
    ]);
  });

  test("stream", () => {
    const passed: string[] = [];
    const stream = new ScriptedStream();
    const open = () => {
      passed.push("attempt");
      return stream;
    };
    const attempt = { unary: async () => aReply(""), stream: open };
    const method = aMethod("server-stream");
    expect(composeStream(allLayers(passed), attempt, method)(aCall({ method }))).toBe(stream);
    expect(passed).toEqual([
      "criticality",
      "telemetry",
      "deadline",
      "callCredentials",
      "resume",
      "retryOrHedge",
      "credentials",
      "breaker",
      "bulkhead",
      "attemptDeadline",
      "stall",
      "attemptTelemetry",
      "attempt",
    ]);
  });
});

test("without layers the attempt itself is called", () => {
  const attempt = { unary: async () => aReply(""), stream: () => new ScriptedStream() };
  expect(composeUnary({}, attempt, aMethod())).toBe(attempt.unary);
  expect(composeStream({}, attempt, aMethod())).toBe(attempt.stream);
});

test("a layer is composed once, with its method", () => {
  const seen: unknown[] = [];
  const layer: Layer = {
    unary: (next, method) => {
      seen.push(method);
      return next;
    },
    stream: (next) => next,
  };
  const attempt = { unary: async () => aReply(""), stream: () => new ScriptedStream() };
  const method = aMethod();
  expect(composeUnary({ deadline: layer }, attempt, method)).toBe(attempt.unary);
  expect(seen).toEqual([method]);
});
