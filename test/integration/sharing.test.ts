import {
  type CachedAnswer,
  clientMiddleware,
  closeClient,
  createClient,
  fail,
  type MethodPolicy,
  type Observer,
  type PipelineOptions,
  Status,
} from "bowline";
import { describe, expect, onTestFinished, test } from "vitest";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { Order } from "../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../src/contract/contract.ts";
import { connectNice } from "../support/nice-alone.ts";
import { gate, rejection, serveOrders } from "../support/orders.ts";

interface Wanted extends PipelineOptions<OrderServiceClient> {
  readonly method: MethodPolicy;
  readonly observer?: Observer;
}

type Connect = (port: number, wanted: Wanted) => OrderServiceClient;

const withMethod = (getOrder: MethodPolicy) =>
  contract<typeof OrderService.definition, OrderServiceClient, object>({
    ...OrderService,
    service: { timeoutMs: 10_000, breaker: { minimumCalls: 2 } },
    methods: { getOrder },
  });

const viaCreateClient: Connect = (port, { method, ...options }) => {
  const orders = createClient(withMethod(method), `127.0.0.1:${port}`, options);
  onTestFinished(() => closeClient(orders));
  return orders;
};

const viaMiddleware: Connect = (port, { method, ...options }) =>
  connectNice(port, clientMiddleware(withMethod(method), options)) as unknown as OrderServiceClient;

const ways: [string, Connect][] = [
  ["createClient", viaCreateClient],
  ["clientMiddleware", viaMiddleware],
];

/** A server that holds each call until the test lets it go, and keeps how each ended. */
async function held() {
  const seen: string[] = [];
  const cancelled: string[] = [];
  const release = gate<string>();
  const { port, server } = await serveOrders({
    async getOrder({ orderId }, { signal, header }) {
      seen.push(orderId);
      header.set("x-seen", String(seen.length));
      signal.addEventListener("abort", () => cancelled.push(orderId));
      const customerId = await Promise.race([
        release.promise,
        new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      ]);
      if (customerId === "") fail("UNAVAILABLE", "down");
      return { orderId, customerId };
    },
  });
  return { port, server, seen, cancelled, answer: release.resolve };
}

const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
};

describe.each(ways)("%s", (_, connect) => {
  test("a hundred calls for the same are one at the server, and each has an answer of its own", async () => {
    const server = await held();
    const orders = connect(server.port, { method: { coalesce: {} } });
    const headers: unknown[] = [];
    const onHeader = (header: { get(key: string): unknown }) => headers.push(header.get("x-seen"));
    const calls = Array.from({ length: 100 }, (_, n) => orders.getOrder({ orderId: "a" }, n === 0 ? {} : { onHeader }));
    await until(() => server.seen.length === 1);
    calls.push(orders.getOrder({ orderId: "b" }, { partition: "another" }));
    await until(() => server.seen.length === 2);
    server.answer("c-1");
    const answers = await Promise.all(calls);
    expect(new Set(answers).size).toBe(101);
    expect(answers.map(({ orderId, customerId }) => `${orderId} ${customerId}`)).toEqual([
      ...Array(100).fill("a c-1"),
      "b c-1",
    ]);
    expect(server.seen).toEqual(["a", "b"]);
    expect(headers).toEqual(Array(99).fill("1"));
  });

  test("never across partitions, and never across tokens", async () => {
    const server = await held();
    const orders = connect(server.port, { method: { coalesce: {} }, partition: "ann" });
    const ask = (options = {}) => orders.getOrder({ orderId: "a" }, options);
    const calls = [
      ...[ask(), ask({ partition: "ann" }), ask({ partition: "bob" })],
      ...[ask({ metadata: { authorization: "ann" } }), ask({ metadata: { authorization: "bob" } })],
    ];
    await until(() => server.seen.length === 4);
    server.answer("c-1");
    await Promise.all(calls);
    expect(server.seen.length).toBe(4);
  });

  test("whoever leaves leaves the others waiting; when the last one has left, the server hears of it", async () => {
    const server = await held();
    const orders = connect(server.port, { method: { coalesce: {} } });
    const callers = [new AbortController(), new AbortController()];
    const calls = callers.map(({ signal }) => rejection(orders.getOrder({ orderId: "a" }, { signal })));
    const hasty = rejection(orders.getOrder({ orderId: "a" }, { timeoutMs: 50 }));
    await until(() => server.seen.length === 1);
    callers[0]?.abort("first");
    expect(await calls[0]).toBe("first");
    expect(await hasty).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    expect(server.cancelled).toEqual([]);
    callers[1]?.abort("second");
    expect(await calls[1]).toBe("second");
    await until(() => server.cancelled.length === 1);
    expect(server.seen).toEqual(["a"]);
  });

  test("a hasty first caller does not cost the others their answer", async () => {
    const server = await held();
    const orders = connect(server.port, { method: { coalesce: {} } });
    const hasty = rejection(orders.getOrder({ orderId: "a" }, { timeoutMs: 50 }));
    const patient = orders.getOrder({ orderId: "a" });
    expect(await hasty).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    server.answer("c-1");
    expect(await patient).toMatchObject({ customerId: "c-1" });
    expect(server.seen).toEqual(["a"]);
  });

  test("a stale answer is there while the server is away, marked, and at once when the breaker is open", async () => {
    const server = await held();
    const wanted = { method: { cache: { ttlMs: 1, staleIfErrorMs: 60_000 } } };
    const orders = connect(server.port, wanted);
    server.answer("c-1");
    await orders.getOrder({ orderId: "a" });
    await server.server.drain({ timeoutMs: 1 });
    const told: CachedAnswer[] = [];
    const onCached = (answer: CachedAnswer) => told.push(answer);
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let n = 0; n < 4; n += 1) {
      expect(await orders.getOrder({ orderId: "a" }, { onCached })).toMatchObject({ orderId: "a", customerId: "c-1" });
    }
    expect(told.map(({ stale }) => stale)).toEqual([true, true, true, true]);
    expect(told[0]?.error?.code).toBe(Status.UNAVAILABLE);
    expect(told[3]?.error?.reason).toBe("BREAKER_OPEN");
    expect(await rejection(orders.getOrder({ orderId: "b" }))).toMatchObject({ reason: "BREAKER_OPEN" });
  });

  test("a fresh answer costs the server nothing, and one asked for with cache: false does", async () => {
    const server = await held();
    const orders = connect(server.port, { method: { cache: { ttlMs: 60_000 } } });
    server.answer("c-1");
    const answers = [await orders.getOrder({ orderId: "a" }), await orders.getOrder({ orderId: "a" })];
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]).not.toBe(answers[1]);
    expect(server.seen.length).toBe(1);
    await orders.getOrder({ orderId: "a" }, { cache: false });
    expect(server.seen.length).toBe(2);
  });

  test("a fallback answers while the server is away, typed by the contract", async () => {
    const server = await held();
    server.answer("");
    const orders = connect(server.port, {
      method: {},
      fallback: { getOrder: ({ orderId = "" }, error) => Order.fromPartial({ orderId, customerId: error.reason }) },
    });
    expect(await orders.getOrder({ orderId: "a" })).toMatchObject({ orderId: "a", customerId: "STATUS" });
    await server.server.drain({ timeoutMs: 1 });
    expect(await orders.getOrder({ orderId: "b" })).toMatchObject({ orderId: "b", customerId: "TRANSPORT" });
    expect(await orders.getOrder({ orderId: "c" })).toMatchObject({ orderId: "c", customerId: "BREAKER_OPEN" });
  });

  test("a stale answer is given at once while one newer is fetched, though its caller has gone", async () => {
    let asked = 0;
    const { port } = await serveOrders({
      async getOrder({ orderId }) {
        asked += 1;
        return { orderId, customerId: `c-${asked}` };
      },
    });
    const actions: string[] = [];
    const observer: Observer = (event) => event.type === "policy" && actions.push(event.action);
    const orders = connect(port, { method: { cache: { ttlMs: 20, staleWhileRevalidateMs: 60_000 } }, observer });
    const ask = async (options = {}) => (await orders.getOrder({ orderId: "a" }, options)).customerId;
    expect(await ask()).toBe("c-1");
    await new Promise((resolve) => setTimeout(resolve, 25));
    const caller = new AbortController();
    expect(await ask({ signal: caller.signal })).toBe("c-1");
    caller.abort();
    await until(() => actions.includes("refreshed"));
    expect(await ask()).toBe("c-2");
    expect(actions.slice(0, 2)).toEqual(["stale", "refreshed"]);
  });
});
