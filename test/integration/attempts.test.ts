import { getEventListeners } from "node:events";
import { fail, type ObserverEvent, RpcError, Status } from "bowline";
import { ClientError, Metadata } from "nice-grpc";
import { describe, expect, test } from "vitest";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { clients } from "../support/attempts.ts";
import { freePort } from "../support/free-port.ts";
import { gate, rejection, serveOrders } from "../support/orders.ts";
import { silentServer } from "../support/silent-server.ts";

const leavers: [string, (orders: OrderServiceClient) => Promise<void>][] = [
  [
    "breaks out of its loop",
    async (orders) => {
      for await (const _ of orders.watchOrders({})) break;
    },
  ],
  [
    "throws in its loop",
    async (orders) => {
      const read = async () => {
        for await (const _ of orders.watchOrders({})) throw new Error("enough");
      };
      expect(await rejection(read())).toMatchObject({ message: "enough" });
    },
  ],
  [
    "aborts its signal",
    async (orders) => {
      const controller = new AbortController();
      const read = async () => {
        for await (const _ of orders.watchOrders({}, { signal: controller.signal })) controller.abort("enough");
      };
      expect(await rejection(read())).toBe("enough");
    },
  ],
];

/** What each of the two attempts must do; what nice-grpc cannot do is in create-client.test.ts. */
describe.each(Object.entries(clients))("an attempt over %s", (_name, connect) => {
  test("carries all four kinds of methods", async () => {
    const { port } = await serveOrders({
      getOrder: async ({ orderId }) => ({ orderId, totalCents: 9_007_199_254_740_993n }),
      async *listOrders({ limit }) {
        for (let index = 0; index < limit; index += 1) yield { orderId: `o-${index}` };
      },
      async importOrders(requests) {
        let imported = 0;
        for await (const { order } of requests) imported += order?.items.length ?? 0;
        return { imported };
      },
      async *quoteBaskets(requests) {
        for await (const { items } of requests) yield { totalCents: BigInt(items.length) };
      },
    });
    const orders = connect(port);
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({
      orderId: "o-1",
      totalCents: 9_007_199_254_740_993n,
    });
    const listed = await Array.fromAsync(orders.listOrders({ limit: 300 }));
    expect(listed.map((order) => order.orderId)).toEqual(Array.from({ length: 300 }, (_, index) => `o-${index}`));
    expect(await orders.importOrders(baskets([1, 2, 3]))).toMatchObject({ imported: 6 });
    const quotes = await Array.fromAsync(orders.quoteBaskets(quoteRequests([3, 1, 2])));
    expect(quotes.map((quote) => quote.totalCents)).toEqual([3n, 1n, 2n]);
  });

  test("carries metadata both ways, and tells header and trailer once", async () => {
    const { port } = await serveOrders({
      async getOrder(_request, context) {
        context.header.set("x-header", "h");
        context.trailer.set("x-trailer-bin", new Uint8Array([1, 2, 255]));
        const bytes = context.metadata.get("x-bytes-bin") ?? [];
        return { orderId: `${context.metadata.get("x-text")} ${[...bytes]}` };
      },
    });
    const told: string[] = [];
    const order = await connect(port).getOrder(
      {},
      {
        metadata: Metadata({ "x-text": "t", "x-bytes-bin": new Uint8Array([7, 8]) }),
        onHeader: (header) => told.push(`header ${header.get("x-header")}`),
        onTrailer: (trailer) => told.push(`trailer ${[...(trailer.get("x-trailer-bin") ?? [])]}`),
      },
    );
    expect(order.orderId).toBe("t 7,8");
    expect(told).toEqual(["header h", "trailer 1,2,255"]);
  });

  test("tells a stream's header before its messages and its trailer after them", async () => {
    const { port } = await serveOrders({
      async *listOrders(_request, context) {
        context.header.set("x-header", "h");
        yield { orderId: "o-1" };
        yield { orderId: "o-2" };
        context.trailer.set("x-trailer", "t");
      },
    });
    const told: string[] = [];
    const stream = connect(port).listOrders(
      {},
      {
        onHeader: (header) => told.push(`header ${header.get("x-header")}`),
        onTrailer: (trailer) => told.push(`trailer ${trailer.get("x-trailer")}`),
      },
    );
    for await (const order of stream) told.push(order.orderId);
    expect(told).toEqual(["header h", "o-1", "o-2", "trailer t"]);
  });

  test("rejects with what the server refused with", async () => {
    const { port } = await serveOrders({
      async getOrder() {
        return fail("NOT_FOUND", "no order o-1", { trailer: { "x-why": "gone" }, pushbackMs: 40 });
      },
    });
    const error = (await rejection(connect(port).getOrder({ orderId: "o-1" }))) as RpcError;
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ code: Status.NOT_FOUND, reason: "STATUS", origin: "wire", details: "no order o-1" });
    expect(error.message).toBe("/shop.orders.v1.OrderService/GetOrder NOT_FOUND: no order o-1");
    expect(error.trailer?.get("x-why")).toBe("gone");
    expect(error.trailer?.get("grpc-retry-pushback-ms")).toBe("40");
    expect(error.headersReceived).toBe(false);
  });

  test("delivers what came before a stream's error, then the error, then nothing", async () => {
    const { port } = await serveOrders({
      async *listOrders() {
        yield { orderId: "o-1" };
        fail("DATA_LOSS", "the disk is gone");
      },
    });
    const stream = connect(port).listOrders({})[Symbol.asyncIterator]();
    expect(await stream.next()).toMatchObject({ value: { orderId: "o-1" } });
    const error = await rejection(stream.next());
    expect(error).toMatchObject({ code: Status.DATA_LOSS, reason: "STATUS", headersReceived: true });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("rejects with TRANSPORT where nobody listens", async () => {
    const port = await freePort();
    const error = await rejection(connect(port).getOrder({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT", origin: "local" });
  });

  test("ends at the deadline against a server that accepts and says nothing", async () => {
    const port = await silentServer();
    const error = await rejection(connect(port).getOrder({}, { timeoutMs: 80 }));
    expect(error).toMatchObject({ code: Status.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED", origin: "local" });
  });

  test("does not begin a call whose deadline has passed", async () => {
    const { port } = await serveOrders({ getOrder: async () => ({}) });
    const error = await rejection(connect(port).getOrder({}, { deadline: new Date(Date.now() - 1) }));
    expect(error).toMatchObject({ code: Status.DEADLINE_EXCEEDED, reason: "DEADLINE_BEFORE_SEND", attempts: 0 });
  });

  test("rejects with the signal's reason, and the server's handler is told", async () => {
    const began = gate();
    const aborted = gate<unknown>();
    const { port } = await serveOrders({
      async getOrder(_request, context) {
        began.resolve();
        context.signal.addEventListener("abort", () => aborted.resolve(context.signal.reason));
        await aborted.promise;
        return {};
      },
    });
    const controller = new AbortController();
    const call = rejection(connect(port).getOrder({}, { signal: controller.signal, timeoutMs: 60_000 }));
    await began.promise;
    const reason = new Error("the user went away");
    controller.abort(reason);
    expect(await call).toBe(reason);
    expect(await aborted.promise).toMatchObject({ name: "AbortError" });
  });

  test("sends nothing when the signal has aborted already", async () => {
    let served = 0;
    const { port } = await serveOrders({
      async getOrder() {
        served += 1;
        return {};
      },
    });
    const orders = connect(port);
    const signal = AbortSignal.abort("before");
    expect(await rejection(orders.getOrder({}, { signal }))).toBe("before");
    expect(await rejection(Array.fromAsync(orders.listOrders({}, { signal })))).toBe("before");
    await orders.getOrder({});
    expect(served).toBe(1);
  });

  test.each(leavers)("ends the call on the wire when a reader %s", async (_how, leave) => {
    const ended = gate();
    const { port } = await serveOrders({
      async *watchOrders(_request, context) {
        try {
          yield { revision: 1n };
          await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        } finally {
          ended.resolve();
        }
      },
    });
    await leave(connect(port));
    await ended.promise;
  });

  test("lets a request stream clean up when its call ends first", async () => {
    const { port } = await serveOrders({ importOrders: async () => ({ imported: 0 }) });
    const cleaned = gate();
    async function* endless() {
      try {
        for (;;) yield { order: { customerId: "u-1" } };
      } finally {
        cleaned.resolve();
      }
    }
    expect(await connect(port).importOrders(endless())).toMatchObject({ imported: 0 });
    await cleaned.promise;
  });

  test("rejects with what the request stream throws, and the server's handler is told", async () => {
    const began = gate();
    const cancelled = gate<unknown>();
    const { port } = await serveOrders({
      async importOrders(requests) {
        try {
          for await (const _ of requests) began.resolve();
        } catch (error) {
          cancelled.resolve(error);
        }
        return {};
      },
    });
    async function* broken() {
      yield { order: { customerId: "u-1" } };
      await began.promise;
      throw new RangeError("the file ends here");
    }
    expect(await rejection(connect(port).importOrders(broken()))).toBeInstanceOf(RangeError);
    expect(await cancelled.promise).toMatchObject({ name: "AbortError" });
  });

  test("leaves no listener on a signal that outlives its calls", async () => {
    const { port } = await serveOrders({
      getOrder: async () => ({}),
      async *listOrders() {
        yield {};
      },
    });
    const orders = connect(port);
    const { signal } = new AbortController();
    for (let index = 0; index < 20; index += 1) {
      await orders.getOrder({}, { signal });
      await rejection(orders.createOrder({}, { signal }));
      await Array.fromAsync(orders.listOrders({}, { signal }));
      for await (const _ of orders.listOrders({}, { signal })) break;
    }
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("tells the observer of calls and attempts", async () => {
    const events: ObserverEvent[] = [];
    const { port } = await serveOrders({ getOrder: async () => ({}) });
    const orders = connect(port, { observer: (event) => events.push(event) });
    await orders.getOrder({});
    await rejection(orders.createOrder({}));
    const types = events.map((event) => ("status" in event ? `${event.type} ${event.status}` : event.type));
    const once = ["call.started", "attempt.started"];
    expect(types).toEqual([
      ...once,
      "attempt.ended OK",
      "call.ended OK",
      ...once,
      "attempt.ended UNIMPLEMENTED",
      "call.ended UNIMPLEMENTED",
    ]);
  });
});

async function* baskets(sizes: readonly number[]) {
  for (const size of sizes) yield { order: { customerId: "u-1", items: items(size) } };
}

async function* quoteRequests(sizes: readonly number[]) {
  for (const size of sizes) yield { items: items(size) };
}

function items(count: number) {
  return Array.from({ length: count }, () => ({ sku: "a", quantity: 1, unitPriceCents: 1n }));
}
