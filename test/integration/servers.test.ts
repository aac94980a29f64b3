import { inspect } from "node:util";
import { currentCall, detached, fail, type ObserverEvent, type RpcError, Status } from "bowline";
import type { ServerOptions } from "bowline/server";
import { Metadata, type MetadataValue, ServerError } from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { OrderServiceClient, OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { rareWarnings } from "../../src/core/warning.ts";
import { connectOrders, gate, rejection, serveOrders, serveOrdersOnNice } from "../support/orders.ts";

type Serve = (given: Partial<OrderServiceHandlers>, options?: ServerOptions) => Promise<{ port: number }>;

const servers: Record<string, Serve> = { createServer: serveOrders, serverMiddleware: serveOrdersOnNice };

/** What throws at whoever looks at it. */
const unreadable: [string, () => unknown][] = [
  [
    "a revoked Proxy",
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return proxy;
    },
  ],
  [
    "an error whose getters throw",
    () => Object.defineProperties(new Error(), { name: trap, message: trap, stack: trap }),
  ],
  ["what says that it is nice-grpc's error", () => ({ "@@nice-grpc:ServerError": true, details: Object.create(null) })],
];

const trap = {
  get(): never {
    throw new Error("do not look");
  },
};

/** A call of each kind. */
const everyKind: ((orders: OrderServiceClient) => Promise<unknown>)[] = [
  (orders) => orders.getOrder({}),
  (orders) => Array.fromAsync(orders.listOrders({})),
  (orders) => Array.fromAsync(orders.watchOrders({})),
  (orders) => orders.importOrders(noRequests()),
  (orders) => Array.fromAsync(orders.quoteBaskets(noRequests())),
];

async function* noRequests(): AsyncGenerator<never> {}

/** What handlers meet, whether they are served by our server or by nice-grpc's with our middleware. */
describe.each(Object.entries(servers))("a handler under %s", (_name, serve) => {
  test("sees its call after an await, and in each step of a stream", async () => {
    const seen: (string | undefined)[] = [];
    const see = () => seen.push(currentCall()?.method.name);
    const { port } = await serve({
      async getOrder() {
        see();
        await new Promise((resolve) => setTimeout(resolve, 1));
        see();
        return {};
      },
      async *listOrders() {
        try {
          see();
          yield {};
          see();
          await new Promise((resolve) => setTimeout(resolve, 1));
          see();
          yield {};
        } finally {
          see();
        }
      },
      async *watchOrders() {
        try {
          for (;;) yield {};
        } finally {
          see();
          left.resolve();
        }
      },
    });
    const left = gate();
    const orders = connectOrders(port);
    await orders.getOrder({});
    await Array.fromAsync(orders.listOrders({}));
    for await (const _ of orders.watchOrders({})) break;
    await left.promise;
    expect(seen).toEqual([...Array(2).fill("GetOrder"), ...Array(4).fill("ListOrders"), "WatchOrders"]);
    expect(currentCall()).toBeUndefined();
  });

  test("sees method, peer, identity, deadline and metadata", async () => {
    const { port } = await serve({
      async getOrder(_request, context) {
        expect(context.method).toMatchObject({ path: "/shop.orders.v1.OrderService/GetOrder", kind: "unary" });
        expect(context.peer).toMatch(/^127\.0\.0\.1:\d+$/);
        expect(context.identity).toEqual({ key: "peer:127.0.0.1", source: "peer" });
        expect(context.remainingMs()).toBeGreaterThan(0);
        expect(context.remainingMs()).toBeLessThanOrEqual(10_001);
        expect(context.deadline?.getTime()).toBeGreaterThan(Date.now());
        expect([...context.metadata].map(([key]) => key)).not.toContain("bowline-deadline");
        return { orderId: context.metadata.get("x-who") ?? "" };
      },
      async *watchOrders(_request, context) {
        expect(context.deadline).toBeUndefined();
        expect(context.remainingMs()).toBe(Number.POSITIVE_INFINITY);
        yield {};
      },
    });
    const orders = connectOrders(port);
    expect(await orders.getOrder({}, { metadata: { "x-who": "me" } })).toMatchObject({ orderId: "me" });
    expect(await Array.fromAsync(orders.watchOrders({}))).toHaveLength(1);
  });

  test.each([
    ["fail", () => fail("FAILED_PRECONDITION", "not now", { trailer: { "x-when": "later" } }), "later"],
    [
      "nice-grpc's ServerError",
      () => Promise.reject(new ServerError(Status.FAILED_PRECONDITION, "not now")),
      undefined,
    ],
  ] as [string, () => Promise<never>, MetadataValue<string> | undefined][])(
    "refuses with %s, word for word",
    async (_with, refuse, trailer) => {
      const errors: unknown[] = [];
      const { port } = await serve({ getOrder: async () => refuse() }, { onError: (error) => errors.push(error) });
      const error = (await rejection(connectOrders(port).getOrder({}))) as RpcError;
      expect(error).toMatchObject({ code: Status.FAILED_PRECONDITION, details: "not now" });
      expect(error.trailer?.get("x-when")).toBe(trailer);
      expect(errors).toEqual([]);
    },
  );

  test("tells a client INTERNAL and nothing else of an unexpected error, and the log everything", async () => {
    const logged: unknown[] = [];
    const secret = new TypeError("password hunter2 is wrong");
    const { port } = await serve(
      {
        getOrder: async () => Promise.reject(secret),
        async *listOrders() {
          yield {};
          throw secret;
        },
      },
      { onError: (error, context) => logged.push([error, context.method.name]) },
    );
    const orders = connectOrders(port);
    const unary = await rejection(orders.getOrder({}));
    const stream = await rejection(Array.fromAsync(orders.listOrders({})));
    for (const error of [unary, stream]) {
      expect(error).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
      expect(JSON.stringify(error)).not.toContain("hunter2");
    }
    expect(logged).toEqual([
      [secret, "GetOrder"],
      [secret, "ListOrders"],
    ]);
  });

  test.each(unreadable)("tells a client INTERNAL, and the log what was thrown, also of %s", async (_what, make) => {
    const thrown = make();
    const logged: unknown[] = [];
    const handlers: Partial<OrderServiceHandlers> = {
      getOrder: async () => Promise.reject(thrown),
      // biome-ignore lint/correctness/useYield: it throws before the first message
      async *listOrders() {
        throw thrown;
      },
      async *watchOrders() {
        yield {};
        throw thrown;
      },
      importOrders: async () => Promise.reject(thrown),
      // biome-ignore lint/correctness/useYield: it throws before the first message
      async *quoteBaskets() {
        throw thrown;
      },
    };
    const { port } = await serve(handlers, { onError: (error) => logged.push(error) });
    const quiet = await serve(handlers);
    const written = vi.spyOn(console, "error").mockImplementation((...parts) => void inspect(parts));
    onTestFinished(() => written.mockRestore());
    for (const orders of [connectOrders(port), connectOrders(quiet.port)]) {
      for (const call of everyKind) {
        expect(await rejection(call(orders))).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
      }
    }
    expect(logged.map((error) => error === thrown)).toEqual(Array(5).fill(true));
    const lines = written.mock.results.flatMap(({ type }, at) =>
      type === "return" ? [String(written.mock.calls[at]?.[0])] : [],
    );
    expect(lines).toEqual(
      ["GetOrder", "ListOrders", "WatchOrders", "ImportOrders", "QuoteBaskets"].map(
        (name) => `bowline: /shop.orders.v1.OrderService/${name} failed:`,
      ),
    );
  });

  test.each(unreadable.slice(0, 2))("is answered where onError throws %s", async (_what, make) => {
    const warnings = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warnings.mockRestore());
    const thrown = make();
    for (const onError of [
      () => {
        throw thrown;
      },
      () => Promise.reject(thrown),
    ]) {
      rareWarnings.clear();
      const { port } = await serve({ getOrder: async () => Promise.reject(new Error("no")) }, { onError });
      expect(await rejection(connectOrders(port).getOrder({}))).toMatchObject({ code: Status.INTERNAL });
    }
    const text = "bowline: onError threw: something that has no text";
    expect(warnings.mock.calls).toEqual([[text], [text]]);
  });

  test("is INTERNAL, and logged, where it aborts something of its own while its client still waits", async () => {
    const logged: unknown[] = [];
    const gaveUp = new DOMException("the fetch gave up", "AbortError");
    const handlers = { getOrder: async () => Promise.reject(gaveUp) };
    const { port } = await serve(handlers, { onError: (error) => logged.push(error) });
    expect(await rejection(connectOrders(port).getOrder({}))).toMatchObject({ code: Status.INTERNAL });
    expect(logged).toEqual([gaveUp]);
  });

  test("turns a failed call of its own into INTERNAL that must not be retried", async () => {
    const down = await serveOrders({ getOrder: async () => fail("UNAVAILABLE", "the database is at db-7") });
    const downstream = connectOrders(down.port);
    const { port } = await serve({ getOrder: (request) => downstream.getOrder(request) }, { onError: () => {} });
    const error = (await rejection(connectOrders(port).getOrder({}))) as RpcError;
    expect(error).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
    expect(error.trailer?.get("grpc-retry-pushback-ms")).toBe("-1");
  });

  test("hands its deadline on to the calls it makes, and a passed deadline keeps its code", async () => {
    const remaining: number[] = [];
    const down = await serveOrders({
      async createOrder(_request, context) {
        remaining.push(context.remainingMs());
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        return {};
      },
    });
    const downstream = connectOrders(down.port);
    const { port } = await serve({
      async createOrder(_request, context) {
        remaining.push(context.remainingMs());
        return downstream.createOrder({});
      },
    });
    const error = await rejection(connectOrders(port).createOrder({}, { timeoutMs: 150 }));
    expect(error).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    const [first = 0, second = 0] = remaining;
    expect(first).toBeLessThanOrEqual(151);
    expect(second).toBeLessThanOrEqual(first - 5 + 1);
  });

  test("hands its cancellation on to the calls it makes, but not to detached ones", async () => {
    const began = gate();
    const cancelled = gate<string>();
    const finished = gate<string>();
    const down = await serveOrders({
      async createOrder(_request, context) {
        began.resolve();
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        cancelled.resolve(context.method.name);
        return {};
      },
      async getOrder(_request, context) {
        await cancelled.promise;
        finished.resolve(`aborted: ${context.signal.aborted}`);
        return {};
      },
    });
    const downstream = connectOrders(down.port);
    const { port } = await serve({
      async createOrder() {
        detached(() => void downstream.getOrder({}, { timeoutMs: 10_000 }).catch(() => {}));
        return downstream.createOrder({});
      },
    });
    const controller = new AbortController();
    const call = rejection(connectOrders(port).createOrder({}, { signal: controller.signal }));
    await began.promise;
    controller.abort("enough");
    expect(await call).toBe("enough");
    expect(await cancelled.promise).toBe("CreateOrder");
    expect(await finished.promise).toBe("aborted: false");
  });

  test("sees the end of a request stream only when the client has sent everything", async () => {
    const began = gate();
    const outcome = gate<string>();
    const { port } = await serve({
      async importOrders(requests) {
        try {
          for await (const _ of requests) began.resolve();
          outcome.resolve("complete");
        } catch (error) {
          outcome.resolve((error as Error).name);
        }
        return {};
      },
    });
    const controller = new AbortController();
    async function* upload() {
      yield { order: {} };
      await new Promise(() => {});
    }
    const call = rejection(connectOrders(port).importOrders(upload(), { signal: controller.signal }));
    await began.promise;
    controller.abort("stop");
    expect(await call).toBe("stop");
    expect(await outcome.promise).toBe("AbortError");
  });

  test("answers a bidi call after it has stopped reading", async () => {
    const { port } = await serve({
      async *quoteBaskets(requests) {
        for await (const _ of requests) break;
        yield { totalCents: 1n };
        yield { totalCents: 2n };
      },
    });
    async function* endless() {
      for (;;) yield {};
    }
    const quotes = await Array.fromAsync(connectOrders(port).quoteBaskets(endless()));
    expect(quotes.map((quote) => quote.totalCents)).toEqual([1n, 2n]);
  });

  test("sends no header before an error, so that clients may still retry", async () => {
    const { port } = await serve({
      async getOrder(_request, context) {
        context.header.set("x-header", "h");
        return fail("UNAVAILABLE", "later");
      },
      // biome-ignore lint/correctness/useYield: it refuses before its first message
      async *listOrders(_request, context) {
        context.header.set("x-header", "h");
        fail("UNAVAILABLE", "later");
      },
    });
    const orders = connectOrders(port);
    expect(await rejection(orders.getOrder({}))).toMatchObject({ headersReceived: false, origin: "wire" });
    expect(await rejection(Array.fromAsync(orders.listOrders({})))).toMatchObject({ headersReceived: false });
  });

  test.each(["connection", "grpc-status", "content-type"])(
    "cannot take the server down with metadata %s",
    async (key) => {
      const logged: unknown[] = [];
      const { port } = await serve(
        {
          async getOrder(_request, context) {
            context.trailer.set(key, "1");
            return {};
          },
          async *listOrders(_request, context) {
            context.header.set(key, "1");
            yield {};
          },
          async createOrder(_request, context) {
            context.trailer.set(key, "1");
            return fail("ABORTED", "no");
          },
        },
        { onError: (error) => logged.push(error) },
      );
      const orders = connectOrders(port);
      expect(await rejection(orders.getOrder({}))).toMatchObject({ code: Status.INTERNAL, reason: "STATUS" });
      expect(await rejection(Array.fromAsync(orders.listOrders({})))).toMatchObject({ code: Status.INTERNAL });
      expect(((await rejection(orders.createOrder({}))) as RpcError).code).not.toBe(Status.OK);
      expect(logged[0]).toMatchObject({ message: expect.stringContaining(key) });
      expect(logged[1]).toMatchObject({ message: expect.stringContaining(key) });
    },
  );

  test("tells the observer what it served", async () => {
    const events: ObserverEvent[] = [];
    const { port } = await serve(
      {
        getOrder: async () => ({}),
        createOrder: async () => fail("ABORTED", "no"),
        async *listOrders() {
          yield {};
        },
      },
      { observer: (event) => events.push(event) },
    );
    const orders = connectOrders(port);
    await orders.getOrder({});
    await rejection(orders.createOrder({}));
    await Array.fromAsync(orders.listOrders({}));
    const told = events.map((event) => [
      event.type,
      event.method?.split("/")[2],
      "status" in event ? event.status : "",
    ]);
    expect(told).toEqual([
      ["served.started", "GetOrder", ""],
      ["served.ended", "GetOrder", "OK"],
      ["served.started", "CreateOrder", ""],
      ["served.ended", "CreateOrder", "ABORTED"],
      ["served.started", "ListOrders", ""],
      ["served.ended", "ListOrders", "OK"],
    ]);
  });

  test("never takes a deadline that a client made up in metadata", async () => {
    const { port } = await serve({
      async *watchOrders(_request, context) {
        yield { revision: BigInt(Number.isFinite(context.remainingMs())) };
      },
    });
    const metadata = Metadata({ "bowline-deadline": "1" });
    const [event] = await Array.fromAsync(connectOrders(port).watchOrders({}, { metadata }));
    expect(event?.revision).toBe(0n);
  });
});
