import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import { closeClient, createClient, EncodedMessage, fail, type Observer, type RpcError, Status } from "bowline";
import { createServer } from "bowline/server";
import { type CallOptions, type ClientMiddleware, createServer as createNiceServer } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { GetOrderRequest, Order } from "../../gen/shop/orders/v1/orders.ts";
import { FaultyOrders } from "../support/faulty-orders.ts";
import { connectOrders, gate, ordersHandlers, rejection, serveOrders } from "../support/orders.ts";
import { silentServer } from "../support/silent-server.ts";

test("connects again soon after its server is back", async () => {
  const first = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false }).add(
    OrderService,
    ordersHandlers({ getOrder: async () => ({ orderId: "1" }) }),
  );
  const port = await first.listen("127.0.0.1:0");
  const orders = connectOrders(port);
  expect(await orders.getOrder({})).toMatchObject({ orderId: "1" });
  await first.drain({ timeoutMs: 1_000 });
  expect(await rejection(orders.getOrder({}))).toMatchObject({ reason: "TRANSPORT" });
  const second = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false }).add(
    OrderService,
    ordersHandlers({ getOrder: async () => ({ orderId: "2" }) }),
  );
  onTestFinished(async () => void (await second.drain({ timeoutMs: 1 })));
  await second.listen(`127.0.0.1:${port}`);
  // At most the longest backoff, 2 s and a fifth: well inside the wait, and far below grpc-js's own 20 s and more.
  expect(await orders.createOrder({}, { waitForReady: true, timeoutMs: 10_000 }).catch((e: RpcError) => e.code)).toBe(
    Status.UNIMPLEMENTED,
  );
  expect(await orders.getOrder({})).toMatchObject({ orderId: "2" });
});

test("fails calls with CLIENT_CLOSED once it is closed", async () => {
  const { port } = await serveOrders({ getOrder: async () => ({}) });
  const orders = createClient(OrderService, `127.0.0.1:${port}`);
  await orders.getOrder({});
  closeClient(orders);
  expect(await rejection(orders.getOrder({}))).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 0 });
  expect(await rejection(orders.listOrders({}).next())).toMatchObject({ reason: "CLIENT_CLOSED" });
  expect(() => closeClient({})).toThrow("closeClient: this is no client that createClient made");
});

test("ends a call that waits for its next attempt with CLIENT_CLOSED when it is closed", async () => {
  const comeAgain = () => fail("UNAVAILABLE", "come again", { pushbackMs: 1_000_000 });
  const { port } = await serveOrders({
    getOrder: async () => comeAgain(),
    async *listOrders() {
      yield comeAgain();
    },
  });
  const scheduled = gate();
  let waits = 0;
  const observer: Observer = (event) => {
    if (event.type === "policy" && event.action === "scheduled" && ++waits === 2) scheduled.resolve();
  };
  const orders = createClient(FaultyOrders, `127.0.0.1:${port}`, { observer });
  const calls = [orders.getOrder({}), orders.listOrders({}).next()].map(rejection);
  await scheduled.promise;
  closeClient(orders);
  const expected = { reason: "CLIENT_CLOSED", attempts: 1, retryStop: "REJECTED", details: "come again" };
  expect(await Promise.all(calls)).toMatchObject([expected, expected]);
});

test("ends calls under way with CLIENT_CLOSED when it is closed, and their handlers are told", async () => {
  const began = gate();
  const aborted: string[] = [];
  const told = gate();
  const wait = (name: string, signal: AbortSignal) =>
    new Promise((resolve) => {
      signal.addEventListener("abort", () => {
        if (aborted.push(name) === 2) told.resolve();
        resolve(undefined);
      });
    });
  const { port } = await serveOrders({
    async createOrder(_request, { signal }) {
      began.resolve();
      await wait("unary", signal);
      return {};
    },
    async *watchOrders(_request, { signal }) {
      yield {};
      await wait("stream", signal);
    },
  });
  const orders = createClient(OrderService, `127.0.0.1:${port}`);
  const stream = orders.watchOrders({});
  await stream.next();
  const reading = rejection(stream.next());
  const call = rejection(orders.createOrder({}));
  await began.promise;
  closeClient(orders);
  expect(await call).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 1 });
  expect(await reading).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 1 });
  await told.promise;
  expect(aborted.sort()).toEqual(["stream", "unary"]);
});

test.each([["connection"], ["transfer-encoding"], ["grpc-timeout"]])(
  "refuses metadata %s before it is sent",
  async (key) => {
    const { port } = await serveOrders({ getOrder: async () => ({}) });
    const orders = connectOrders(port);
    for (const call of [
      orders.getOrder({}, { metadata: { [key]: "x" } }),
      orders.listOrders({}, { metadata: { [key]: "x" } }).next(),
    ]) {
      const error = await rejection(call);
      expect(error).toMatchObject({ reason: "REQUEST_NOT_ENCODABLE", details: expect.stringContaining(key) });
    }
  },
);

test("closes at the end of a using block", async () => {
  const { port } = await serveOrders({ getOrder: async () => ({}) });
  const use = async () => {
    using orders = createClient(OrderService, `127.0.0.1:${port}`);
    await orders.getOrder({});
    return orders.getOrder;
  };
  const getOrder = await use();
  expect(await rejection(getOrder({}))).toMatchObject({ reason: "CLIENT_CLOSED" });
});

test("refuses a request that does not fit its message, and sends nothing", async () => {
  let served = 0;
  const { port } = await serveOrders({
    async getOrder() {
      served += 1;
      return {};
    },
  });
  const orders = connectOrders(port);
  const error = await rejection(orders.createOrder({ items: [{ unitPriceCents: "many" }] }));
  expect(error).toMatchObject({ code: Status.INTERNAL, reason: "REQUEST_NOT_ENCODABLE", attempts: 0 });
  const metadata = { "no spaces": "here" };
  const illegal = { reason: "REQUEST_NOT_ENCODABLE", details: expect.stringContaining('"no spaces"') };
  expect(await rejection(orders.getOrder({}, { metadata }))).toMatchObject(illegal);
  expect(await rejection(orders.listOrders({}, { metadata }).next())).toMatchObject(illegal);
  const stream = await rejection(orders.importOrders([{ order: {} }] as never));
  expect(stream).toMatchObject({ details: expect.stringContaining("takes an AsyncIterable") });
  await orders.getOrder({});
  expect(served).toBe(1);
});

test("gives up connecting to a server that accepts and says nothing", async () => {
  const port = await silentServer();
  const orders = connectOrders(port, { connectTimeoutMs: 100, timeoutMs: 15_000 });
  const error = await rejection(orders.createOrder({}, { timeoutMs: 15_000 }));
  expect(error).toMatchObject({ reason: "TRANSPORT", details: expect.stringContaining("timed out after 100ms") });
});

test("dials a Unix socket, which is this machine whatever its name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bowline-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false });
  server.add(OrderService, ordersHandlers({ getOrder: async (_, { identity }) => ({ orderId: identity.key }) }));
  await server.listen(`unix:${folder}/orders.sock`);
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  using orders = createClient(OrderService, `unix:${folder}/orders.sock`);
  expect(await orders.getOrder({})).toMatchObject({ orderId: "peer:unknown" });
});

test("sends a message that is encoded already as it is", async () => {
  const { port } = await serveOrders({ getOrder: async ({ orderId }) => ({ orderId }) });
  const encoded = new EncodedMessage(GetOrderRequest.encode({ orderId: "o-7" }).finish());
  expect(await connectOrders(port).getOrder(encoded as never)).toMatchObject({ orderId: "o-7" });
});

test.each([
  ["no response", 0, "OK without a response"],
  ["two responses", 2, "more than one response"],
])("rejects with RESPONSE_COUNT after %s to a unary call", async (_what, count, details) => {
  const port = await rawServer((call) => {
    for (let sent = 0; sent < count; sent += 1) call.write({ orderId: "o-1" });
    call.end();
  });
  const error = await rejection(connectOrders(port).getOrder({}));
  expect(error).toMatchObject({ code: Status.INTERNAL, reason: "RESPONSE_COUNT", details });
});

test("rejects with RESPONSE_NOT_DECODABLE where the bytes are no such message", async () => {
  const port = await rawServer(
    (call) => {
      call.write(Buffer.from([0x0a, 0x7f, 0x01]));
      call.end();
    },
    (bytes) => bytes as unknown as Buffer,
  );
  const error = await rejection(connectOrders(port).getOrder({}));
  expect(error).toMatchObject({ code: Status.INTERNAL, reason: "RESPONSE_NOT_DECODABLE" });
});

test("takes nice-grpc's middlewares, the first the innermost, with their own options", async () => {
  const { port } = await serveOrders({
    getOrder: async (_request, context) => ({ orderId: context.metadata.get("x-tags") ?? "" }),
    async *listOrders(_request, context) {
      yield { orderId: context.metadata.get("x-tags") ?? "" };
    },
  });
  const orders = connectOrders(port, { use: [tag("inner"), tag("outer")] });
  expect(await orders.getOrder({}, { tag: "!" } as CallOptions)).toMatchObject({ orderId: "outer!inner!" });
  const [listed] = await Array.fromAsync(orders.listOrders({}, { tag: "?" } as CallOptions));
  expect(listed).toMatchObject({ orderId: "outer?inner?" });
  expect(await rejection(orders.createOrder({}))).toMatchObject({ code: Status.UNIMPLEMENTED, reason: "STATUS" });
});

test("ends a server-stream on the wire through a foreign middleware too", async () => {
  const ended = gate();
  const { port } = await serveOrders({
    async *watchOrders(_request, context) {
      context.signal.addEventListener("abort", () => ended.resolve());
      for (;;) yield { revision: 1n };
    },
  });
  for await (const _ of connectOrders(port, { use: [tag("x")] }).watchOrders({})) break;
  await ended.promise;
});

test("is served by nice-grpc's own server", async () => {
  const server = createNiceServer();
  server.add(OrderService.definition, ordersHandlers({ getOrder: async ({ orderId }) => ({ orderId }) }) as never);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(() => server.forceShutdown());
  expect(await connectOrders(port).getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
});

test("reads ahead of a slow reader by a bounded number of bytes", async () => {
  let produced = 0;
  const big = "x".repeat(64 * 1024);
  const { port } = await serveOrders({
    async *listOrders() {
      for (; produced < 2_000; produced += 1) yield { orderId: big };
    },
  });
  const stream = connectOrders(port).listOrders({});
  await stream.next();
  await settle(() => produced);
  // 1 MiB of HTTP/2 window, 64 KiB read ahead, and what Node's streams hold: far from the 125 MiB that are there.
  expect(produced * big.length).toBeLessThan(8 * 1024 * 1024);
  await stream.return();
});

function tag(name: string): ClientMiddleware<{ tag?: string }> {
  return async function* add(call, { tag: suffix = "", ...options }) {
    const metadata = options.metadata;
    const { Metadata } = await import("nice-grpc");
    const tags = `${metadata?.get("x-tags") ?? ""}${name}${suffix}`;
    return yield* call.next(call.request, { ...options, tag: suffix, metadata: Metadata({ "x-tags": tags }) } as never);
  } as ClientMiddleware<{ tag?: string }>;
}

type RawCall = { write(message: unknown): void; end(): void };

/** grpc-js's own server, which lets a unary method answer as a stream. */
async function rawServer(
  handle: (call: RawCall) => void,
  serialize: (order: Partial<Order>) => Buffer = (order) =>
    Buffer.from(Order.encode(Order.fromPartial(order)).finish()),
): Promise<number> {
  const server = new GrpcServer();
  server.register("/shop.orders.v1.OrderService/GetOrder", handle as never, serialize, () => ({}), "serverStream");
  onTestFinished(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

/** Waits until a figure has stopped growing. */
async function settle(figure: () => number): Promise<void> {
  for (let last = -1; last !== figure(); ) {
    last = figure();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
