import { type CallContext, type ObserverEvent, Status } from "bowline";
import type { ServerOptions } from "bowline/server";
import { expect, onTestFinished, test } from "vitest";
import { gate, serveOrders } from "../support/orders.ts";
import { rawCaller } from "../support/raw-answer.ts";

const [GET, WATCH] = ["/shop.orders.v1.OrderService/GetOrder", "/shop.orders.v1.OrderService/WatchOrders"];
const ONE_AT_A_TIME = { maxConcurrent: 1, loopDelayMs: Number.POSITIVE_INFINITY };

/** Serves orders one at a time, with a call of GetOrder that runs until it is let go. */
async function serveOccupied(options: ServerOptions = {}) {
  const letGo = gate();
  onTestFinished(() => letGo.resolve());
  const started = gate();
  const getOrder = async () => {
    started.resolve();
    await letGo.promise;
    return {};
  };
  const { server, port } = await serveOrders({ getOrder }, { shed: ONE_AT_A_TIME, ...options });
  const call = rawCaller(port);
  const first = call(GET, {});
  await started.promise;
  return { server, port, call, first, letGo };
}

test("is told like any other refusal, and leaves the call that runs alone", async () => {
  const { call, first, letGo } = await serveOccupied();
  const [answer] = (await call(GET, {})).headers;
  expect(answer).toMatchObject({
    ...{ ":status": 200, "grpc-status": String(Status.RESOURCE_EXHAUSTED), "bowline-refused": "SHED" },
    "grpc-message": "the server has too much to do: as many calls run and wait as may",
  });
  expect(Number(answer?.["grpc-retry-pushback-ms"])).toBeGreaterThanOrEqual(100);
  letGo.resolve();
  expect((await first).code).toBe(Status.OK);
  expect((await call(GET, {})).code).toBe(Status.OK);
});

test("streams are refused too, and who matters least is not to come back", async () => {
  const { call } = await serveOccupied();
  const [answer] = (await call(WATCH, { "bowline-criticality": "sheddable" })).headers;
  expect(answer).toMatchObject({ "grpc-status": String(Status.RESOURCE_EXHAUSTED), "grpc-retry-pushback-ms": "-1" });
});

test("nobody is asked who calls", async () => {
  let asked = 0;
  const authenticate = () => {
    asked += 1;
    return { identity: { key: "u-1", source: "token", scopes: ["orders.read"] } } as const;
  };
  const { call } = await serveOccupied({ authenticate });
  expect((await call(GET, {})).code).toBe(Status.RESOURCE_EXHAUSTED);
  expect(asked).toBe(1);
});

test("an observer is told that the call came, was rejected and ended", async () => {
  const told: ObserverEvent[] = [];
  const { call } = await serveOccupied({ observer: (event) => void told.push(event) });
  await call(GET, {});
  expect(told).toMatchObject([
    { type: "served.started", method: GET, id: expect.any(Number) },
    { type: "served.started", method: GET },
    { type: "policy", policy: "shed", action: "rejected", method: GET, detail: { because: "limit" } },
    { type: "served.ended", method: GET, status: "RESOURCE_EXHAUSTED", reason: "SHED" },
  ]);
  expect(told[3]).toHaveProperty("id", Reflect.get(told[1] ?? {}, "id"));
});

test("middlewares of nice-grpc see every call", async () => {
  const seen: string[] = [];
  const { call } = await serveOccupied({
    use: [
      async function* (call, context) {
        seen.push(call.method.path);
        return yield* call.next(call.request, context);
      },
    ],
  });
  expect((await call(GET, {})).code).toBe(Status.RESOURCE_EXHAUSTED);
  expect(seen).toEqual([GET, GET]);
});

test("who is believed is asked for every call", async () => {
  const believed: unknown[] = [];
  const trustCriticality = ({ metadata }: CallContext) => {
    believed.push(metadata.get("bowline-criticality"));
    return false;
  };
  const { call } = await serveOccupied({ shed: { ...ONE_AT_A_TIME, trustCriticality } });
  const [answer] = (await call(GET, { "bowline-criticality": "sheddable" })).headers;
  expect(answer).toMatchObject({ "grpc-status": String(Status.RESOURCE_EXHAUSTED) });
  expect(answer?.["grpc-retry-pushback-ms"]).not.toBe("-1");
  expect(believed).toEqual([undefined, "sheddable"]);
});
