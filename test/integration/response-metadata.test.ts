import { fail, RpcError, Status } from "bowline";
import { describe, expect, test, vi } from "vitest";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import type { CallContext } from "../../src/core/call-context.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";

const kinds: [string, (orders: OrderServiceClient) => Promise<unknown>][] = [
  ["unary", (orders) => orders.getOrder({}, { timeoutMs: 5_000 })],
  ["stream", (orders) => Array.fromAsync(orders.listOrders({}, { timeoutMs: 5_000 }))],
  ["client-stream", (orders) => orders.importOrders((async function* () {})(), { timeoutMs: 5_000 })],
];

/** A server whose handlers all begin with the same step, which spoils a call unless its client says it is a good one. */
async function spoiled(spoil: (context: CallContext) => void) {
  const onError = vi.fn<(error: unknown, context: CallContext) => void>();
  const begin = (context: CallContext) => (context.metadata.has("x-good") ? undefined : spoil(context));
  const { port, server } = await serveOrders(
    {
      async getOrder(_request, context) {
        begin(context);
        return { orderId: "o-1" };
      },
      async *listOrders(_request, context) {
        begin(context);
        yield { orderId: "o-1" };
      },
      async importOrders(_requests, context) {
        begin(context);
        return {};
      },
    },
    { onError },
  );
  return { onError, server, orders: connectOrders(port) };
}

const keys = ["connection", "keep-alive", "transfer-encoding", "upgrade", "te", "host", "grpc-status", "grpc-message"];

describe.each(kinds)("metadata that cannot be sent, written by a %s handler", (_name, call) => {
  test.each(keys)("into the trailer: %s", async (key) => {
    const { orders, server, onError } = await spoiled((context) => context.trailer.set(key, "0"));
    await becomesInternal(call(orders), onError, key);
    await worksOn(orders);
    expect(server.activeCalls).toBe(0);
  });

  test.each(keys)("into the header: %s", async (key) => {
    const { orders, server, onError } = await spoiled((context) => context.header.set(key, "0"));
    await becomesInternal(call(orders), onError, key);
    await worksOn(orders);
    expect(server.activeCalls).toBe(0);
  });

  test("into the header, and sent at once", async () => {
    const { orders, onError } = await spoiled((context) => {
      context.header.set("connection", "close");
      context.sendHeader();
    });
    await becomesInternal(call(orders), onError, "connection");
    await worksOn(orders);
  });

  test("into the trailer of a refusal", async () => {
    const { orders, onError } = await spoiled((context) => {
      context.trailer.set("connection", "close");
      fail("NOT_FOUND", "no such order");
    });
    await becomesInternal(call(orders), onError, "connection");
    await worksOn(orders);
  });

  test.each(["connection", "grpc-status"])("into fail's trailer: %s", async (key) => {
    const { orders, onError } = await spoiled(() => fail("NOT_FOUND", "no such order", { trailer: { [key]: "0" } }));
    await becomesInternal(call(orders), onError, key);
    await worksOn(orders);
  });

  test("into an error that goes round fail", async () => {
    const sendTrailer = { connection: "close" };
    const { orders, onError } = await spoiled(() => {
      throw new RpcError({ path: "", reason: "REFUSED", details: "no", sendTrailer });
    });
    await becomesInternal(call(orders), onError, "connection");
    await worksOn(orders);
  });
});

test("what may be written arrives", async () => {
  const written: [string, string][] = [
    ["grpc-retry-pushback-ms", "7"],
    ["x-last", "1"],
  ];
  const { orders } = await spoiled((context) => {
    for (const [key, value] of written) context.trailer.set(key, value);
    context.trailer.set("grpc-status-details-bin", new Uint8Array([1]));
    fail("NOT_FOUND", "no such order");
  });
  const error = (await rejection(orders.getOrder({}))) as RpcError;
  expect(error).toMatchObject({ code: Status.NOT_FOUND, details: "no such order" });
  expect(written.map(([key]) => [key, error.trailer?.get(key)])).toEqual(written);
  expect([...(error.trailer?.get("grpc-status-details-bin") ?? [])]).toEqual([1]);
});

test("a stream that a drain ends is told of the drain, whatever its trailer holds", async () => {
  const onError = vi.fn();
  const began = gate();
  const { port, server } = await serveOrders(
    {
      async *watchOrders(_request, context) {
        context.trailer.set("connection", "close");
        yield { revision: 1n };
        began.resolve();
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      },
    },
    { onError },
  );
  const stream = connectOrders(port).watchOrders({});
  await stream.next();
  const next = rejection(stream.next());
  await began.promise;
  expect(await server.drain({ timeoutMs: 5_000 })).toEqual({ abandoned: 0 });
  expect(await next).toMatchObject({ code: Status.UNAVAILABLE, reason: "DRAINING" });
  expect(onError).toHaveBeenCalledOnce();
});

async function becomesInternal(call: Promise<unknown>, onError: ReturnType<typeof vi.fn>, key: string): Promise<void> {
  expect(await rejection(call)).toMatchObject({ code: Status.INTERNAL, reason: "STATUS", details: "internal error" });
  expect(onError).toHaveBeenCalledOnce();
  const [error, context] = onError.mock.calls[0] ?? [];
  expect(error).toBeInstanceOf(TypeError);
  expect(String(error)).toContain(`"${key}"`);
  expect(context.method.path).toMatch(/^\/shop\.orders\.v1\.OrderService\//);
}

async function worksOn(orders: OrderServiceClient): Promise<void> {
  expect(await orders.getOrder({}, { metadata: { "x-good": "1" } })).toMatchObject({ orderId: "o-1" });
}
