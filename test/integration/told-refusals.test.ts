import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { type ObserverEvent, Status } from "bowline";
import { expect, onTestFinished, test } from "vitest";
import { call, framed, open, session } from "../support/attacking.ts";
import { connectOrders, rejection, serveOrders, serveOrdersOnNice } from "../support/orders.ts";

const SERVICE = "/shop.orders.v1.OrderService";
const LARGE = "x".repeat(200);
const LIMITS = { maxReceiveMessageBytes: 100 };
const refused = { code: Status.RESOURCE_EXHAUSTED, reason: "STATUS" };

/** A server that notes what its observer is told, and of each handler that begins. */
async function observed(options = {}) {
  const events: ObserverEvent[] = [];
  const begun: string[] = [];
  const reasons: unknown[] = [];
  const { port } = await serveOrders(
    {
      async getOrder() {
        begun.push("getOrder");
        return {};
      },
      async *listOrders() {
        begun.push("listOrders");
        yield {};
      },
      async importOrders(requests, { signal }) {
        begun.push("importOrders");
        signal.addEventListener("abort", () => reasons.push(signal.reason));
        for await (const _ of requests);
        return {};
      },
    },
    { observer: (event) => events.push(event), ...options },
  );
  return { port, orders: connectOrders(port), events, begun, reasons };
}

/** What is told of a call that is ended before its handler begins. */
function toldOf(method: string, status: string) {
  const told = { id: expect.any(Number), method: `${SERVICE}/${method}` };
  return [
    { type: "served.started", ...told },
    { type: "served.ended", ...told, status, reason: "STATUS", durationMs: 0 },
  ];
}

test("a unary request that is too large is told, though its handler never begins", async () => {
  const { orders, events, begun } = await observed(LIMITS);
  expect(await rejection(orders.getOrder({ orderId: LARGE }, { timeoutMs: 5_000 }))).toMatchObject(refused);
  expect(events).toEqual(toldOf("GetOrder", "RESOURCE_EXHAUSTED"));
  expect(begun).toEqual([]);
});

test("so is the request of a stream", async () => {
  const { orders, events, begun } = await observed(LIMITS);
  const call = Array.fromAsync(orders.listOrders({ customerId: LARGE }, { timeoutMs: 5_000 }));
  expect(await rejection(call)).toMatchObject(refused);
  expect(events).toEqual(toldOf("ListOrders", "RESOURCE_EXHAUSTED"));
  expect(begun).toEqual([]);
});

test("so is a request whose bytes are no message", async () => {
  const { port, events, begun } = await observed();
  const garbage = framed(new Uint8Array([0x0a, 0xff]));
  expect(await call(session(port), `${SERVICE}/GetOrder`, garbage)).toMatchObject({ grpc: Status.INTERNAL });
  expect(events).toEqual(toldOf("GetOrder", "INTERNAL"));
  expect(begun).toEqual([]);
});

test("so is a request that does not come before its deadline", async () => {
  const { port, events, begun } = await observed();
  const silent = open(session(port), `${SERVICE}/GetOrder`, { "grpc-timeout": "50m" });
  const [headers] = await once(silent, "response");
  expect(headers["grpc-status"]).toBe(String(Status.DEADLINE_EXCEEDED));
  expect(events).toEqual(toldOf("GetOrder", "DEADLINE_EXCEEDED"));
  expect(begun).toEqual([]);
});

test("so is a request that is small, and too large when it is unpacked", async () => {
  const { port, events, begun } = await observed(LIMITS);
  const packed = framed(gzipSync(Buffer.alloc(1_000)), { flag: 1 });
  const headers = { "grpc-encoding": "gzip" };
  const unpacked = call(session(port), `${SERVICE}/GetOrder`, packed, headers);
  expect(await unpacked).toMatchObject({ grpc: Status.RESOURCE_EXHAUSTED });
  expect(events).toEqual(toldOf("GetOrder", "RESOURCE_EXHAUSTED"));
  expect(begun).toEqual([]);
});

test("an upload with a message that is too large ends with the status that its client gets, also for its handler", async () => {
  const { orders, events, begun, reasons } = await observed(LIMITS);
  async function* requests() {
    yield {};
    yield { order: { customerId: LARGE } };
  }
  expect(await rejection(orders.importOrders(requests(), { timeoutMs: 5_000 }))).toMatchObject(refused);
  await expect.poll(() => events).toHaveLength(2);
  expect(events[1]).toMatchObject({ type: "served.ended", status: "RESOURCE_EXHAUSTED", reason: "STATUS" });
  expect(begun).toEqual(["importOrders"]);
  expect(reasons).toMatchObject([
    { code: Status.RESOURCE_EXHAUSTED, details: expect.stringMatching(/larger than max/) },
  ]);
});

test("an upload whose client leaves is still told as cancelled", async () => {
  const { orders, events } = await observed();
  async function* requests() {
    yield {};
    await new Promise(() => {});
  }
  const signal = AbortSignal.timeout(50);
  await rejection(orders.importOrders(requests(), { signal, timeoutMs: 5_000 }));
  await expect.poll(() => events).toHaveLength(2);
  expect(events[1]).toMatchObject({ type: "served.ended", status: "CANCELLED" });
});

test("a call that is served is told once, and one of a method that there is not never", async () => {
  const { port, orders, events } = await observed();
  await orders.getOrder({}, { timeoutMs: 5_000 });
  await call(session(port), `${SERVICE}/NoSuch`, framed(new Uint8Array([0x0a, 0xff])));
  expect(events).toMatchObject([{ type: "served.started" }, { type: "served.ended", status: "OK" }]);
});

test.each([
  ["maxConnections", { maxConnections: 1 }],
  ["maxConnectionsPerPeer", { maxConnectionsPerPeer: 1 }],
])("a connection over %s is told", async (limit, options) => {
  const { port, events } = await observed(options);
  const [one, other] = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  onTestFinished(() => {
    one.destroy();
    other.destroy();
  });
  await Promise.race([once(one, "close"), once(other, "close")]);
  expect(events).toEqual([
    { type: "policy", policy: "connection", action: "rejected", detail: { limit, most: 1, peer: "peer:127.0.0.1" } },
  ]);
});

test("metadata over its limit is refused by HTTP/2, of which nobody is told", async () => {
  const { orders, events } = await observed();
  const call = orders.getOrder({}, { metadata: { much: "x".repeat(20_000) }, timeoutMs: 5_000 });
  expect(await rejection(call)).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, reason: "TRANSPORT" });
  expect(events).toEqual([]);
});

test("on nice-grpc's server nobody is told of a request that is too large, and an upload seems cancelled", async () => {
  const events: ObserverEvent[] = [];
  const { port } = await serveOrdersOnNice(
    {
      async importOrders(requests) {
        for await (const _ of requests);
        return {};
      },
    },
    { observer: (event) => events.push(event) },
  );
  const orders = connectOrders(port);
  const large = "x".repeat(5_000_000);
  expect(await rejection(orders.getOrder({ orderId: large }, { timeoutMs: 5_000 }))).toMatchObject(refused);
  expect(events).toEqual([]);
  async function* requests() {
    yield { order: { customerId: large } };
  }
  expect(await rejection(orders.importOrders(requests(), { timeoutMs: 5_000 }))).toMatchObject(refused);
  await expect.poll(() => events).toHaveLength(2);
  expect(events[1]).toMatchObject({ type: "served.ended", status: "CANCELLED" });
});
