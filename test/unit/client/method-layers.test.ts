import { describe, expect, onTestFinished, test } from "vitest";
import { OrderServiceDefinition } from "../../../gen/shop/orders/v1/orders.ts";
import type { PipelineOptions } from "../../../src/client/client-options.ts";
import { composeUnary, UNARY_ORDER } from "../../../src/client/pipeline.ts";
import { methodLayers } from "../../../src/client/policy-layers/method-layers.ts";
import { contract } from "../../../src/contract/contract.ts";
import { toMethod } from "../../../src/contract/definition.ts";
import type { MethodPolicy, ServicePolicy } from "../../../src/contract/policy.ts";
import type { Call } from "../../../src/core/call.ts";
import { NO_DEADLINE } from "../../../src/core/deadline.ts";
import { aClientState } from "../../support/client-state.ts";
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
  const layers = methodLayers(of, key, method, options, aClientState());
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

describe("the layers", () => {
  const layersOf = (of: typeof says, options: PipelineOptions = {}, state = aClientState()) =>
    Object.keys(methodLayers(of, "getOrder", toMethod(of.definition, of.definition.methods.getOrder), options, state));

  test("are criticality, a deadline and a breaker, if nobody says anything", () => {
    expect(layersOf(silent)).toEqual(["criticality", "deadline", "breaker"]);
  });

  test("have telemetry only with an observer", () => {
    const state = aClientState({ observer: () => {} });
    expect(layersOf(silent, {}, state).sort()).toEqual([
      "attemptTelemetry",
      "breaker",
      "criticality",
      "deadline",
      "telemetry",
    ]);
  });

  test.each<[string, MethodPolicy, ServicePolicy, string[]]>([
    ["retry where the contract has it", { retry: {} }, {}, ["criticality", "deadline", "retryOrHedge", "breaker"]],
    ["hedges where the contract has them", { hedge: {} }, {}, ["criticality", "deadline", "retryOrHedge", "breaker"]],
    [
      "an attempt's deadline where it has one",
      { retry: { attemptTimeoutMs: 100 } },
      {},
      ["criticality", "deadline", "retryOrHedge", "attemptDeadline", "breaker"],
    ],
    ["no breaker where the method wants none", { breaker: { disabled: true } }, {}, ["criticality", "deadline"]],
    ["no breaker where the service wants none", {}, { breaker: { disabled: true } }, ["criticality", "deadline"]],
    [
      "one where the service wants none and the method does",
      { breaker: { disabled: false } },
      { breaker: { disabled: true } },
      ["criticality", "deadline", "breaker"],
    ],
  ])("%s", (_, getOrder, service, expected) => {
    expect(layersOf(contract({ ...common, service, methods: { getOrder } }))).toEqual(expected);
  });
});

test("there is a retry where only a key makes it safe, and the key is sent outside of it", () => {
  const of = contract({ ...common, service: {}, methods: { createOrder: { retry: {}, idempotencyKey: {} } } });
  const method = toMethod(of.definition, of.definition.methods.createOrder);
  const layers = methodLayers(of, "createOrder", method, {}, aClientState());
  expect(Object.keys(layers)).toEqual(["criticality", "deadline", "idempotencyKey", "retryOrHedge", "breaker"]);
  expect(UNARY_ORDER.indexOf("idempotencyKey")).toBeLessThan(UNARY_ORDER.indexOf("retryOrHedge"));
});

describe("breakers", () => {
  const namesOf = (service: ServicePolicy, methods: Record<string, MethodPolicy>) => {
    const state = aClientState();
    const of = contract({ ...common, service, methods });
    for (const [key, definition] of Object.entries(of.definition.methods)) {
      methodLayers(of, key, toMethod(of.definition, definition), {}, state);
    }
    return Object.keys(state.breakers.snapshot());
  };
  const path = (name: string) => `/shop.orders.v1.OrderService/${name}`;

  test("each method has its own", () => {
    const names = ["CreateOrder", "GetOrder", "ListOrders", "WatchOrders", "ImportOrders", "QuoteBaskets"];
    expect(namesOf({}, {})).toEqual(names.map(path));
  });

  test("with the service's scope they share one, but for methods that say something of their own", () => {
    const methods = { getOrder: { breaker: { minimumCalls: 5 } }, listOrders: { breaker: { disabled: true } } };
    const names = namesOf({ breaker: { scope: "service" } }, methods);
    expect(names).toEqual(["shop.orders.v1.OrderService", path("GetOrder")]);
  });
});
