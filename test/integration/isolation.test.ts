import {
  adaptiveLimit,
  bulkhead,
  clientMiddleware,
  closeClient,
  createClient,
  fail,
  type MethodPolicy,
  type Observer,
  RpcError,
  type ServicePolicy,
  throttle,
} from "bowline";
import type { ClientMiddleware } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { connectNice } from "../support/nice-alone.ts";
import { gate, rejection, serveOrders } from "../support/orders.ts";

interface Wanted {
  readonly service: ServicePolicy;
  readonly methods?: Record<string, MethodPolicy>;
  readonly observer?: Observer;
}

type Connect = (port: number, wanted: Wanted) => OrderServiceClient;

const wantedContract = ({ service, methods = {} }: Wanted) =>
  contract<typeof OrderService.definition, OrderServiceClient, object>({
    ...OrderService,
    service: { timeoutMs: 10_000, ...service },
    methods,
  });

const watched = ({ observer }: Wanted) => ({ ...(observer && { observer }) });

const viaCreateClient: Connect = (port, wanted) => {
  const orders = createClient(wantedContract(wanted), `127.0.0.1:${port}`, watched(wanted));
  onTestFinished(() => closeClient(orders));
  return orders;
};

const nice = (port: number, ...middlewares: ClientMiddleware[]) =>
  connectNice(port, ...middlewares) as unknown as OrderServiceClient;

const ways: [string, Connect][] = [
  ["createClient", viaCreateClient],
  ["clientMiddleware", (port, wanted) => nice(port, clientMiddleware(wantedContract(wanted), watched(wanted)))],
  [
    "single middlewares on nice-grpc alone",
    (port, { service, observer }) => {
      const around = { ...(observer && { observer }) };
      return nice(
        port,
        ...(service.adaptiveLimit ? [adaptiveLimit({ ...service.adaptiveLimit, ...around })] : []),
        ...(service.bulkhead ? [bulkhead({ ...service.bulkhead, ...around })] : []),
        ...(service.throttle ? [throttle({ ...service.throttle, ...around })] : []),
      );
    },
  ],
];

/** A server whose calls a test ends, and which keeps who came, and how many there were at a time. */
async function held() {
  const seen: string[] = [];
  const waiting: (() => void)[] = [];
  const counts = { running: 0, most: 0 };
  const hold = async (id: string) => {
    seen.push(id);
    counts.running += 1;
    counts.most = Math.max(counts.most, counts.running);
    await new Promise<void>((resolve) => waiting.push(resolve));
    counts.running -= 1;
  };
  const { port, server } = await serveOrders({
    async getOrder({ orderId }) {
      await hold(orderId);
      return { orderId };
    },
    async *listOrders({ customerId }) {
      yield { orderId: customerId };
      await hold(customerId);
      yield { orderId: customerId };
    },
  });
  const until = async (calls: number) => {
    while (seen.length < calls) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  return { port, server, seen, counts, until, next: () => waiting.shift()?.() };
}

const idsOf = (count: number) => Array.from({ length: count }, (_, n) => `o-${n}`);

describe.each(ways)("%s", (_, connect) => {
  test("no more calls than may be are under way at the server, and they come in the order in which they were made", async () => {
    const server = await held();
    const orders = connect(server.port, { service: { bulkhead: { maxConcurrent: 3, maxQueued: 17 } } });
    const calls = idsOf(20).map((orderId) => orders.getOrder({ orderId }));
    for (let n = 0; n < 20; n += 1) {
      await server.until(Math.min(n + 3, 20));
      server.next();
    }
    expect((await Promise.all(calls)).map(({ orderId }) => orderId)).toEqual(idsOf(20));
    expect(server.seen).toEqual(idsOf(20));
    expect(server.counts).toEqual({ running: 0, most: 3 });
  });

  test("what leaves the queue is never sent: cancelled, or one too many", async () => {
    const server = await held();
    const orders = connect(server.port, { service: { bulkhead: { maxConcurrent: 1, maxQueued: 2 } } });
    const first = orders.getOrder({ orderId: "first" });
    await server.until(1);
    const controller = new AbortController();
    const left = rejection(orders.getOrder({ orderId: "left" }, { signal: controller.signal }));
    const last = orders.getOrder({ orderId: "last" });
    expect(await rejection(orders.getOrder({ orderId: "too many" }))).toMatchObject({ reason: "BULKHEAD_FULL" });
    controller.abort(new Error("gone"));
    expect(await left).toMatchObject({ message: "gone" });
    server.next();
    await server.until(2);
    server.next();
    expect([(await first).orderId, (await last).orderId]).toEqual(["first", "last"]);
    expect(server.seen).toEqual(["first", "last"]);
  });

  test("a longest wait ends with BULKHEAD_FULL", async () => {
    const server = await held();
    const service = { bulkhead: { maxConcurrent: 1, maxQueued: 1, maxWaitMs: 20 } };
    const orders = connect(server.port, { service });
    const first = orders.getOrder({ orderId: "first" });
    await server.until(1);
    expect(await rejection(orders.getOrder({ orderId: "late" }))).toMatchObject({
      reason: "BULKHEAD_FULL",
      details: "its turn did not come within 20 ms: no attempt was sent",
    });
    server.next();
    await first;
    expect(server.seen).toEqual(["first"]);
  });

  test("B7 a stream holds its permit to the end, or until it is left", async () => {
    const server = await held();
    const orders = connect(server.port, { service: { bulkhead: { maxConcurrent: 1, maxQueued: 1 } } });
    const stream = orders.listOrders({ customerId: "first" })[Symbol.asyncIterator]();
    expect(await stream.next()).toMatchObject({ value: { orderId: "first" } });
    const waiting = orders.listOrders({ customerId: "second" })[Symbol.asyncIterator]();
    const message = waiting.next();
    expect(await rejection(Array.fromAsync(orders.listOrders({})))).toMatchObject({ reason: "BULKHEAD_FULL" });
    await server.until(1);
    server.next();
    expect(await stream.next()).toMatchObject({ value: { orderId: "first" } });
    expect(await stream.next()).toMatchObject({ done: true });
    expect(await message).toMatchObject({ value: { orderId: "second" } });
    await waiting.return?.();
    const [again] = await Promise.all([orders.listOrders({ customerId: "third" })[Symbol.asyncIterator]().next()]);
    expect(again).toMatchObject({ value: { orderId: "third" } });
  });

  test("all methods share the target's limit", async () => {
    const server = await held();
    const service = { adaptiveLimit: { initialLimit: 2, minLimit: 2, maxLimit: 2 } };
    const orders = connect(server.port, { service });
    const calls = idsOf(2).map((orderId) => orders.getOrder({ orderId }));
    await server.until(2);
    expect(await rejection(Array.fromAsync(orders.listOrders({})))).toMatchObject({ reason: "LIMIT_REACHED" });
    server.next();
    await Promise.race(calls);
    expect(await orders.listOrders({ customerId: "c" })[Symbol.asyncIterator]().next()).toMatchObject({ done: false });
    server.next();
    await Promise.all(calls);
    expect(server.counts.most).toBe(2);
  });

  test("while the target rejects calls, the client rejects a share of them itself", async () => {
    const seen = { calls: 0, well: false };
    const { port } = await serveOrders({
      async getOrder() {
        seen.calls += 1;
        return seen.well ? {} : fail("RESOURCE_EXHAUSTED", "too much to do");
      },
    });
    const told: string[] = [];
    const observer: Observer = (event) => event.type === "policy" && told.push(`${event.policy} ${event.action}`);
    const orders = connect(port, { service: { throttle: {}, breaker: { disabled: true } }, observer });
    const reasons = { STATUS: 0, CLIENT_THROTTLED: 0 };
    for (let n = 0; n < 200; n += 1) {
      const { reason } = (await rejection(orders.getOrder({}))) as { reason?: keyof typeof reasons };
      reasons[reason ?? "STATUS"] += 1;
    }
    // 1/2, 2/3, 3/4 … of them: of 200, few more than ln(200) come through.
    expect(seen.calls).toBeLessThan(40);
    expect(reasons).toEqual({ STATUS: seen.calls, CLIENT_THROTTLED: 200 - seen.calls });
    expect(told).toEqual(Array.from({ length: 200 - seen.calls }, () => "throttle rejected"));
  });
});

describe("over createClient", () => {
  test("a deadline that passes in the queue, and a client that is closed, end what waits: it is never sent", async () => {
    const server = await held();
    const orders = viaCreateClient(server.port, { service: { bulkhead: { maxConcurrent: 1, maxQueued: 2 } } });
    const first = rejection(orders.getOrder({ orderId: "first" }));
    await server.until(1);
    expect(await rejection(orders.getOrder({ orderId: "late" }, { timeoutMs: 20 }))).toMatchObject({
      reason: "DEADLINE_BEFORE_SEND",
      attempts: 0,
    });
    const waiting = rejection(orders.getOrder({ orderId: "waiting" }));
    const stream = rejection(Array.fromAsync(orders.listOrders({ customerId: "stream" })));
    closeClient(orders);
    const reasons = (await Promise.all([first, waiting, stream])).map((error) => RpcError.from(error).reason);
    expect(reasons).toEqual(["CLIENT_CLOSED", "CLIENT_CLOSED", "CLIENT_CLOSED"]);
    expect(server.seen).toEqual(["first"]);
  });

  test.each<[string, ServicePolicy, string]>([
    ["bulkhead", { bulkhead: { maxConcurrent: 1 } }, "BULKHEAD_FULL"],
    ["limit", { adaptiveLimit: { initialLimit: 1, minLimit: 1 } }, "LIMIT_REACHED"],
  ])("R10 what a %s rejects is not retried, whatever codes say", async (_, service, reason) => {
    const server = await held();
    const retry = { codes: ["RESOURCE_EXHAUSTED"], initialBackoffMs: 1 } as const;
    const told: string[] = [];
    const observer: Observer = (event) => event.type === "policy" && told.push(event.action);
    const orders = viaCreateClient(server.port, { service, methods: { getOrder: { retry } }, observer });
    const first = orders.getOrder({ orderId: "first" });
    await server.until(1);
    const error = await rejection(orders.getOrder({ orderId: "second" }));
    expect(error).toMatchObject({ reason, attempts: 0, failures: [], retryStop: "REJECTED" });
    expect(told).toEqual(["rejected"]);
    server.next();
    await first;
    expect(server.seen).toEqual(["first"]);
  });

  test("a retry that waits at the bulkhead while its deadline passes ends with what failed", async () => {
    const began = gate();
    const { port } = await serveOrders({
      async getOrder({ orderId }) {
        if (orderId !== "held") return fail("UNAVAILABLE", "down");
        began.resolve();
        return new Promise<never>(() => {});
      },
    });
    // The permit is free while the call waits for its next attempt.
    const observer: Observer = (event) => {
      if (event.type === "policy" && event.action === "scheduled") void rejection(orders.getOrder({ orderId: "held" }));
    };
    const orders = viaCreateClient(port, {
      service: { bulkhead: { maxConcurrent: 1, maxQueued: 1 } },
      methods: { getOrder: { retry: { initialBackoffMs: 1 } } },
      observer,
    });
    const failing = rejection(orders.getOrder({ orderId: "failing" }, { timeoutMs: 300 }));
    await began.promise;
    expect(await failing).toMatchObject({
      ...{ reason: "DEADLINE_BEFORE_SEND", details: "down", attempts: 1, retryStop: "REJECTED" },
    });
  });

  test("a method's own bulkhead leaves room for others", async () => {
    const server = await held();
    const methods = { getOrder: { bulkhead: { maxConcurrent: 1 } } };
    const orders = viaCreateClient(server.port, { service: {}, methods });
    const first = orders.getOrder({ orderId: "first" });
    await server.until(1);
    expect(await rejection(orders.getOrder({}))).toMatchObject({ reason: "BULKHEAD_FULL" });
    expect(await orders.listOrders({ customerId: "c" })[Symbol.asyncIterator]().next()).toMatchObject({ done: false });
    server.next();
    await first;
  });
});
