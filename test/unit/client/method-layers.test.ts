import { describe, expect, onTestFinished, test } from "vitest";
import { OrderServiceDefinition } from "../../../gen/shop/orders/v1/orders.ts";
import type { PipelineOptions } from "../../../src/client/client-options.ts";
import { methodLayers } from "../../../src/client/method-layers.ts";
import { composeUnary } from "../../../src/client/pipeline.ts";
import { contract } from "../../../src/contract/contract.ts";
import { toMethod } from "../../../src/contract/definition.ts";
import type { Call } from "../../../src/core/call.ts";
import { NO_DEADLINE } from "../../../src/core/deadline.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aCall, aReply, ScriptedStream } from "../../support/scripted.ts";

type Key = "createOrder" | "getOrder" | "importOrders" | "listOrders" | "watchOrders" | "quoteBaskets";

const common = { definition: OrderServiceDefinition, cursors: {}, descriptors: () => "" };
const says = contract({
  ...common,
  service: { timeoutMs: 2_000 },
  methods: { getOrder: { timeoutMs: 300 }, listOrders: { timeoutMs: 30_000 } },
});
const silent = contract({ ...common, service: {}, methods: {} });

/** The deadline that a call of a method gets, in milliseconds from now. */
async function timeoutOf(of: typeof says, key: Key, options: PipelineOptions, timeoutMs?: number): Promise<number> {
  const method = toMethod(of.definition, of.definition.methods[key]);
  const layers = methodLayers(of, key, method, options, fakeClock());
  const seen: Call[] = [];
  const unary = async (call: Call) => aReply(seen.push(call));
  // Both forms of the layer reckon alike; the unary one gives all of them a deadline to look at.
  const handler = composeUnary(layers, { unary, stream: () => new ScriptedStream() }, method);
  await handler(aCall({ method, options: timeoutMs === undefined ? {} : { timeoutMs } }));
  return seen[0]?.deadline ?? expect.unreachable();
}

describe("R9 the least of contract, client and call holds", () => {
  test.each<[string, typeof says, Key, PipelineOptions, number | undefined, number]>([
    ["the method's", says, "getOrder", {}, undefined, 300],
    ["else the service's", says, "createOrder", {}, undefined, 2_000],
    ["the service's holds for a client-stream too", says, "importOrders", {}, undefined, 2_000],
    ["the client's, if it is less", says, "getOrder", { timeoutMs: 200 }, undefined, 200],
    ["not the client's, if it is more", says, "getOrder", { timeoutMs: 400 }, undefined, 300],
    ["the call's, if it is least", says, "getOrder", { timeoutMs: 200 }, 100, 100],
    ["not the call's, if it is more", says, "getOrder", { timeoutMs: 200 }, 250, 200],
    [
      "an endless client's or call's does not lift the contract's",
      says,
      "getOrder",
      { timeoutMs: NO_DEADLINE },
      NO_DEADLINE,
      300,
    ],
    ["10 s if nobody says anything", silent, "getOrder", {}, undefined, 10_000],
    ["10 s for a client-stream", silent, "importOrders", {}, undefined, 10_000],
    ["the client's, if the contract says nothing", silent, "getOrder", { timeoutMs: 60_000 }, undefined, 60_000],
    ["the call's, if nobody else says anything", silent, "getOrder", {}, 60_000, 60_000],
    ["none, if the client says so", silent, "getOrder", { timeoutMs: NO_DEADLINE }, undefined, NO_DEADLINE],
    ["none, if the call says so", silent, "getOrder", {}, NO_DEADLINE, NO_DEADLINE],
    ["none for a stream, whatever its service says", says, "watchOrders", {}, undefined, NO_DEADLINE],
    ["none for bidi", says, "quoteBaskets", {}, undefined, NO_DEADLINE],
    ["a stream's own", says, "listOrders", {}, undefined, 30_000],
    ["the client's for a stream", says, "watchOrders", { timeoutMs: 500 }, undefined, 500],
    ["the call's for a stream", says, "watchOrders", {}, 500, 500],
  ])("%s", async (_, of, key, options, timeoutMs, expected) => {
    expect(await timeoutOf(of, key, options, timeoutMs)).toBe(expected);
  });
});

test("takes no policy from what every object has", async () => {
  const definition = { name: "S", fullName: "a.S", methods: { constructor: OrderServiceDefinition.methods.getOrder } };
  const named = contract({ ...common, definition, service: { timeoutMs: 2_000 }, methods: {} });
  Object.assign(Object, { timeoutMs: 5 });
  onTestFinished(() => void Reflect.deleteProperty(Object, "timeoutMs"));
  expect(await timeoutOf(named as never, "constructor" as never, {})).toBe(2_000);
});

test("without an observer there is no telemetry", () => {
  const method = toMethod(silent.definition, silent.definition.methods.getOrder);
  expect(Object.keys(methodLayers(silent, "getOrder", method, {}, fakeClock()))).toEqual(["deadline"]);
  const watched = methodLayers(silent, "getOrder", method, { observer: () => {} }, fakeClock());
  expect(Object.keys(watched).sort()).toEqual(["attemptTelemetry", "deadline", "telemetry"]);
});
