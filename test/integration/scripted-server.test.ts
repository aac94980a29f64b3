import { closeClient, createClient, type RpcError, Status } from "bowline";
import { type ScriptedServer, scriptedServer } from "bowline/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import type { OrderServiceClient, OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { rejection } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";

type Scripted = ScriptedServer<OrderServiceClient, OrderServiceHandlers>;

/** The orders service, whose GetOrder is tried three times. */
const RetriedOrders = contract<typeof PatientOrders.definition, OrderServiceClient, OrderServiceHandlers>({
  ...PatientOrders,
  methods: { ...PatientOrders.methods, getOrder: { timeoutMs: 10_000, retry: { maxAttempts: 3 } } },
});

/** A scripted server and its client, until the test is over. */
async function start(use = PatientOrders): Promise<{ server: Scripted; orders: OrderServiceClient }> {
  const server = await scriptedServer(use);
  const orders = createClient(use, server.target);
  onTestFinished(async () => {
    closeClient(orders);
    await server.close();
  });
  return { server, orders };
}

/** All that a stream yields, and what it ends with if that is an error. */
async function drain<T>(stream: AsyncIterable<T>): Promise<{ messages: T[]; error: unknown }> {
  const messages: T[] = [];
  try {
    for await (const message of stream) messages.push(message);
  } catch (error) {
    return { messages, error };
  }
  return { messages, error: undefined };
}

async function* each<T>(...messages: T[]): AsyncGenerator<T> {
  yield* messages;
}

describe("a method with one response", () => {
  test("is replied to, with header and trailer", async () => {
    const { server, orders } = await start();
    server
      .expect("getOrder")
      .header({ "x-region": "eu", "x-key-bin": new Uint8Array([1]) })
      .reply({ orderId: "o-1", totalCents: 5n }, { trailer: { "x-cost": "3" } });
    const seen: unknown[] = [];
    const order = await orders.getOrder(
      { orderId: "o-1" },
      {
        onHeader: (header) => seen.push(header.get("x-region"), header.get("x-key-bin")),
        onTrailer: (trailer) => seen.push(trailer.get("x-cost")),
      },
    );
    expect(order).toMatchObject({ orderId: "o-1", totalCents: 5n, items: [] });
    expect(seen).toEqual(["eu", Buffer.from([1]), "3"]);
    server.verify();
  });

  test("is failed, with text, trailer and pushback", async () => {
    const { server, orders } = await start();
    const trailer = { "x-why": "stock" };
    server.expect("getOrder").fail("FAILED_PRECONDITION", { message: "none left", trailer, pushbackMs: 70 });
    const error = (await rejection(orders.getOrder({}))) as RpcError;
    expect(error).toMatchObject({ code: Status.FAILED_PRECONDITION, details: "none left", headersReceived: false });
    expect(error.trailer?.get("x-why")).toBe("stock");
    expect(error.trailer?.get("grpc-retry-pushback-ms")).toBe("70");
    server.verify();
  });

  test("may fail after its headers", async () => {
    const { server, orders } = await start(RetriedOrders);
    server.expect("getOrder").header({}).fail("UNAVAILABLE");
    const error = (await rejection(orders.getOrder({}))) as RpcError;
    expect(error).toMatchObject({ details: "scripted", headersReceived: true, attempts: 1 });
    server.verify();
  });

  test("is answered no earlier than its delay", async () => {
    const { server, orders } = await start();
    server.expect("getOrder").delay(60).reply({});
    const since = performance.now();
    await orders.getOrder({});
    expect(performance.now() - since).toBeGreaterThanOrEqual(60);
  });

  test("hangs until the client cancels", async () => {
    const { server, orders } = await start();
    const { signal, abort } = abortable();
    server.expect("getOrder").hang();
    const rejected = rejection(orders.getOrder({}, { signal }));
    await server.received(1);
    expect(server.calls).toMatchObject([{ method: "getOrder", state: "open", expected: true }]);
    abort("enough");
    expect(await rejected).toBe("enough");
    await server.idle();
    expect(server.calls).toMatchObject([{ state: "left" }]);
    server.verify();
  });

  test.each(["hang", "delay"] as const)("is left in its %s when the client's deadline passes", async (how) => {
    const { server, orders } = await start();
    const answer = server.expect("getOrder");
    if (how === "hang") answer.hang();
    else answer.delay(60_000).reply({});
    expect(await rejection(orders.getOrder({}, { timeoutMs: 50 }))).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    await server.idle();
    expect(server.calls).toMatchObject([{ state: "left" }]);
  });
});

describe("a stream of responses", () => {
  test("ends well after the last one", async () => {
    const { server, orders } = await start();
    server.expect("watchOrders").send({ revision: 1n }).send({ revision: 2n });
    const { messages, error } = await drain(orders.watchOrders({}));
    expect([messages.map(({ revision }) => revision), error]).toEqual([[1n, 2n], undefined]);
    server.verify();
  });

  test("may have none, headers, and trailers at its end", async () => {
    const { server, orders } = await start();
    const seen: unknown[] = [];
    server
      .expect("watchOrders")
      .header({ "x-first": "1" })
      .end({ trailer: { "x-last": "2" } });
    const { messages } = await drain(
      orders.watchOrders(
        {},
        {
          onHeader: (header) => seen.push(header.get("x-first")),
          onTrailer: (trailer) => seen.push(trailer.get("x-last")),
        },
      ),
    );
    expect([messages, seen]).toEqual([[], ["1", "2"]]);
  });

  test("fails after what was sent", async () => {
    const { server, orders } = await start();
    server.expect("watchOrders").send({ revision: 1n }).delay(1).send({ revision: 2n }).fail("UNAVAILABLE");
    const { messages, error } = await drain(orders.watchOrders({ customerId: "c-1" }));
    expect(messages.length).toBe(2);
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, details: "scripted" });
    server.verify();
  });

  test("hangs after what was sent until the client leaves", async () => {
    const { server, orders } = await start();
    server.expect("watchOrders").send({ revision: 1n }).hang();
    for await (const { revision } of orders.watchOrders({})) {
      expect(revision).toBe(1n);
      break;
    }
    await server.idle();
    expect(server.calls).toMatchObject([{ method: "watchOrders", request: { customerId: "" }, state: "left" }]);
  });
});

test("a stream that hangs sends no heartbeats either, which its client takes for a stall", async () => {
  const Beating = contract<typeof PatientOrders.definition, OrderServiceClient, OrderServiceHandlers>({
    ...PatientOrders,
    methods: { ...PatientOrders.methods, watchOrders: { heartbeat: { field: "heartbeat", intervalMs: 20 } } },
  });
  const { server, orders } = await start(Beating);
  server.expect("watchOrders").send({ revision: 1n }).hang();
  const { messages, error } = await drain(orders.watchOrders({}, { timeoutMs: 3_000 }));
  expect([messages.length, error]).toEqual([1, expect.objectContaining({ reason: "STALLED" })]);
  await server.idle();
  expect(server.calls).toMatchObject([{ state: "left" }]);
  server.verify();
});

describe("a method whose client streams", () => {
  test("is replied to once everything came", async () => {
    const { server, orders } = await start();
    const more = Promise.withResolvers<void>();
    server.expect("importOrders").reply({ imported: 2 });
    async function* orderly() {
      yield { order: { customerId: "c-1" } };
      await more.promise;
      yield { order: { customerId: "c-2" } };
    }
    const answer = orders.importOrders(orderly());
    await server.received(1);
    expect(server.calls).toMatchObject([{ state: "open" }]);
    more.resolve();
    expect(await answer).toMatchObject({ imported: 2 });
    const request = [{ order: { customerId: "c-1" } }, { order: { customerId: "c-2" } }];
    expect(server.calls).toMatchObject([{ method: "importOrders", request, state: "answered" }]);
    server.verify();
  });

  test("may fail while the client still sends", async () => {
    const { server, orders } = await start();
    const never = Promise.withResolvers<void>();
    server.expect("importOrders").fail("RESOURCE_EXHAUSTED");
    async function* endless() {
      yield {};
      await never.promise;
    }
    const error = await rejection(orders.importOrders(endless()));
    never.resolve();
    expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
    await server.idle();
    expect(server.calls).toMatchObject([{ state: "answered" }]);
  });

  test("is matched by all that it sent", async () => {
    const { server, orders } = await start();
    server.expect("importOrders", [{ order: { customerId: "c-1" } }, {}]).reply({ imported: 2 });
    server.expect("importOrders", (requests) => requests.length === 0).fail("INVALID_ARGUMENT");
    expect(await orders.importOrders(each({ order: { customerId: "c-1" } }, {}))).toMatchObject({ imported: 2 });
    expect(await rejection(orders.importOrders(each()))).toMatchObject({ code: Status.INVALID_ARGUMENT });
    server.verify();
  });

  test("is left by a client that cancels its upload, and meets no expectation then", async () => {
    const { server, orders } = await start();
    const { signal, abort } = abortable();
    const never = Promise.withResolvers<void>();
    server.expect("importOrders", [{}]).reply({});
    async function* endless() {
      yield {};
      await never.promise;
    }
    const rejected = rejection(orders.importOrders(endless(), { signal }));
    await server.received(1);
    abort("enough");
    await rejected;
    never.resolve();
    await server.idle();
    expect(server.calls).toMatchObject([{ state: "left", expected: false }]);
    expect(() => server.verify()).toThrow("importOrders: expected 1 more call for [ {} ]");
  });

  test("is answered from its beginning where both stream", async () => {
    const { server, orders } = await start();
    const first = Promise.withResolvers<void>();
    server.expect("quoteBaskets").send({ totalCents: 1n }).send({ totalCents: 2n });
    async function* afterTheFirst() {
      await first.promise;
      yield {};
    }
    const quotes: bigint[] = [];
    for await (const { totalCents } of orders.quoteBaskets(afterTheFirst())) {
      quotes.push(totalCents);
      first.resolve();
    }
    expect(quotes).toEqual([1n, 2n]);
    server.verify();
  });

  test("is answered after its end where both stream and a match is asked for", async () => {
    const { server, orders } = await start();
    const items = [{ sku: "a", quantity: 1, unitPriceCents: 7n }];
    server.expect("quoteBaskets", [{ items }, {}]).send({ totalCents: 7n });
    const { messages } = await drain(orders.quoteBaskets(each({ items }, {})));
    expect(messages).toEqual([{ totalCents: 7n }]);
    expect(server.calls).toMatchObject([{ request: [{ items }, { items: [] }] }]);
    server.verify();
  });
});

describe("expectations", () => {
  test("of one method are met in order, those of others whenever they come", async () => {
    const { server, orders } = await start();
    server.expect("getOrder").reply({ orderId: "first" });
    server.expect("createOrder").reply({ orderId: "created" });
    server.expect("getOrder").reply({ orderId: "second" });
    const seen = [
      await orders.getOrder({}),
      await orders.getOrder({}),
      await orders.createOrder({ customerId: "c-1" }),
    ].map(({ orderId }) => orderId);
    expect(seen).toEqual(["first", "second", "created"]);
    expect(server.calls.map(({ method }) => method)).toEqual(["getOrder", "getOrder", "createOrder"]);
    server.verify();
  });

  test("may answer several calls, or any number of them", async () => {
    const { server, orders } = await start();
    server.expect("getOrder").fail("NOT_FOUND").times(2);
    server.expect("getOrder", { orderId: "o-2" }).reply({ orderId: "o-2" }).times(Number.POSITIVE_INFINITY);
    server.expect("getOrder", ({ orderId }) => orderId === "o-3").reply({ orderId: "o-3" });
    server.expect("listOrders").end().times(Number.POSITIVE_INFINITY);
    for (const _ of [1, 2]) {
      expect(await rejection(orders.getOrder({}))).toMatchObject({ code: Status.NOT_FOUND });
    }
    const ids = ["o-2", "o-2", "o-3", "o-2"];
    for (const orderId of ids) expect((await orders.getOrder({ orderId })).orderId).toBe(orderId);
    server.verify();
  });

  test("may be added while the test goes on", async () => {
    const { server, orders } = await start();
    server.expect("getOrder").reply({ orderId: "1" });
    await orders.getOrder({});
    server.verify();
    server.expect("getOrder").reply({ orderId: "2" });
    expect(() => server.verify()).toThrow("getOrder: expected 1 more call for any request");
    expect(await orders.getOrder({})).toMatchObject({ orderId: "2" });
    server.verify();
  });

  test("that do not fit a call stay, and the call is refused for good", async () => {
    const { server, orders } = await start(RetriedOrders);
    server.expect("getOrder", { orderId: "o-1" }).reply({ orderId: "o-1" });
    const error = (await rejection(orders.getOrder({ orderId: "o-9" }))) as RpcError;
    const details = "no answer was scripted for getOrder({ orderId: 'o-9' }): the next one is for { orderId: 'o-1' }";
    expect(error).toMatchObject({ code: Status.UNIMPLEMENTED, details, attempts: 1 });
    expect(error.trailer?.get("grpc-retry-pushback-ms")).toBe("-1");
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
    expect(server.calls).toMatchObject([{ expected: false, state: "answered" }, { expected: true }]);
  });

  test("that say no end are not met", async () => {
    const { server, orders } = await start();
    server.expect("getOrder").delay(1);
    const details =
      "no answer was scripted for getOrder({ orderId: '' }): the next one is for any request, and has no reply(), fail() or hang()";
    expect(await rejection(orders.getOrder({}))).toMatchObject({ code: Status.UNIMPLEMENTED, details });
    expect(() => server.verify()).toThrow();
  });
});

describe("verify", () => {
  test("lists all that is wrong, in one error", async () => {
    const { server, orders } = await start();
    server.expect("createOrder", { customerId: "c-1" }).reply({});
    server.expect("getOrder", () => {
      throw new Error("the predicate's");
    });
    server.expect("watchOrders").send({}).times(3);
    expect(await rejection(orders.getOrder({}))).toMatchObject({ code: Status.INTERNAL });
    await rejection(orders.createOrder({ customerId: "c-2" }));
    await drain(orders.watchOrders({}));
    await drain(orders.listOrders({ limit: 5 }));
    expect(() => server.verify()).toThrow(
      new Error(
        [
          "scriptedServer of shop.orders.v1.OrderService:",
          "  getOrder: the answer failed: Error: the predicate's",
          "  call 2, createOrder({ customerId: 'c-2', items: [] }), was not expected: the next one is for { customerId: 'c-1' }",
          "  call 4, listOrders({ customerId: '', limit: 5 }), was not expected: none is expected any more",
          "  createOrder: expected 1 more call for { customerId: 'c-1' }",
          '  getOrder: expected 1 more call for () => { throw new Error("the predicate\'s"); }, and has no reply(), fail() or hang()',
          "  watchOrders: expected 2 more calls for any request",
        ].join("\n"),
      ),
    );
  });

  test("is content where nothing was expected and nothing came", async () => {
    const { server } = await start();
    server.verify();
  });
});

describe("what is known of a call", () => {
  test("metadata, attempts, time and order", async () => {
    const { server, orders } = await start(RetriedOrders);
    server.expect("getOrder").fail("UNAVAILABLE", { pushbackMs: 80 });
    server.expect("getOrder").reply({});
    await orders.getOrder({ orderId: "o-1" }, { metadata: { "x-tenant": "acme" } });
    await drain(orders.watchOrders({}));
    const [first, second, watched] = server.calls;
    expect(server.calls.map(({ method, previousAttempts }) => [method, previousAttempts])).toEqual([
      ["getOrder", 0],
      ["getOrder", 1],
      ["watchOrders", 0],
    ]);
    expect(second?.metadata.get("x-tenant")).toBe("acme");
    expect(first?.request).toEqual({ orderId: "o-1" });
    expect(Number(second?.receivedAt) - Number(first?.receivedAt)).toBeGreaterThanOrEqual(80);
    expect(first?.remainingMs).toBeGreaterThan(0);
    expect(first?.remainingMs).toBeLessThanOrEqual(10_000);
    expect(watched?.remainingMs).toBe(Number.POSITIVE_INFINITY);
    expect(JSON.stringify(first)).not.toContain("metadata");
  });
});

describe("closing", () => {
  test("tells clients of open calls, which have not left", async () => {
    const { server, orders } = await start();
    server.expect("getOrder").hang();
    const rejected = rejection(orders.getOrder({}));
    await server.received(1);
    await server.close();
    expect(await rejected).toMatchObject({ code: Status.UNAVAILABLE });
    expect(server.calls).toMatchObject([{ state: "answered" }]);
  });

  test("happens at the end of a block, and frees the port", async () => {
    let target = "";
    {
      await using server = await scriptedServer(PatientOrders);
      target = server.target;
      expect(target).toMatch(/^127\.0\.0\.1:\d+$/);
    }
    const orders = createClient(PatientOrders, target);
    onTestFinished(() => closeClient(orders));
    expect(await rejection(orders.getOrder({}))).toMatchObject({ reason: "TRANSPORT" });
  });
});

describe("bad use", () => {
  test.each<[string, (server: Scripted) => unknown, string]>([
    [
      "an unknown method",
      // @ts-expect-error: the contract has no such method
      (server) => server.expect("getOrders"),
      "expect: shop.orders.v1.OrderService has no method 'getOrders', only createOrder, getOrder, listOrders, watchOrders, importOrders, quoteBaskets",
    ],
    [
      "a match that is no request",
      // @ts-expect-error: the request is a message
      (server) => server.expect("getOrder", "o-1"),
      "expect('getOrder'): a match is a partial request or a predicate; it is 'o-1'",
    ],
    [
      "a match that is no list",
      // @ts-expect-error: the client streams its requests
      (server) => server.expect("importOrders", {}),
      "expect('importOrders'): a match is a list of partial requests or a predicate; it is {}",
    ],
    [
      "a reply to a stream",
      // @ts-expect-error: it streams its responses
      (server) => server.expect("watchOrders").reply({}),
      "expect('watchOrders'): it streams its responses: use send and end",
    ],
    [
      "a stream for one response",
      // @ts-expect-error: it has one response
      (server) => server.expect("getOrder").send({}),
      "expect('getOrder'): it has one response: use reply",
    ],
    [
      "the end of a stream for one response",
      // @ts-expect-error: it has one response
      (server) => server.expect("getOrder").end(),
      "expect('getOrder'): it has one response: use reply",
    ],
    [
      "a second end",
      // @ts-expect-error: nothing but times() comes after the end
      (server) => server.expect("getOrder").reply({}).fail("ABORTED"),
      "expect('getOrder'): fail() comes after its end; call expect() again for another call",
    ],
    [
      "a message after the end",
      // @ts-expect-error: nothing but times() comes after the end
      (server) => server.expect("watchOrders").end().send({}),
      "expect('watchOrders'): send() comes after its end; call expect() again for another call",
    ],
    [
      "anything after times()",
      // @ts-expect-error: it comes last
      (server) => server.expect("watchOrders").times(3).send({}),
      "Cannot read properties of undefined (reading 'send')",
    ],
    [
      "an unknown status",
      // @ts-expect-error: gRPC has no such status
      (server) => server.expect("getOrder").fail("BROKEN"),
      "expect('getOrder'): this cannot be sent: fail: gRPC has no status BROKEN",
    ],
    [
      "OK as a failure",
      // @ts-expect-error: OK is no failure
      (server) => server.expect("getOrder").fail("OK"),
      "expect('getOrder'): this cannot be sent: fail: OK is no failure; return the answer instead",
    ],
    [
      "a trailer that HTTP/2 forbids",
      (server) => server.expect("getOrder").reply({}, { trailer: { connection: "close" } }),
      "expect('getOrder'): this cannot be sent: HTTP/2 does not leave \"connection\" to a call",
    ],
    [
      "a header that is no text",
      (server) => server.expect("getOrder").header({ "x-name": "Zoë" }),
      "expect('getOrder'): this cannot be sent: Metadata value 'Zoë' of key 'x-name' contains illegal characters",
    ],
    [
      "a response that its type cannot take",
      (server) => server.expect("getOrder").reply({ totalCents: "five" }),
      "expect('getOrder'): this cannot be sent: Cannot convert five to a BigInt",
    ],
    [
      "a delay without end",
      (server) => server.expect("getOrder").delay(Number.POSITIVE_INFINITY),
      "expect('getOrder'): delay takes milliseconds, not Infinity; hang() waits for ever",
    ],
    [
      "no times",
      (server) => server.expect("getOrder").reply({}).times(0),
      "expect('getOrder'): times takes a whole number from 1 on, or Infinity; not 0",
    ],
  ])("%s is refused", async (_, misuse, message) => {
    const { server } = await start();
    expect(() => misuse(server)).toThrow(new TypeError(message));
  });

  test("scripting on once it answers is refused", async () => {
    const { server, orders } = await start();
    const answer = server.expect("watchOrders").send({});
    await drain(orders.watchOrders({}));
    const message = "expect('watchOrders'): it answers a call already; script it before the call is made";
    expect(() => answer.send({})).toThrow(new TypeError(message));
    expect(() => answer.times(2)).toThrow(new TypeError(message));
  });

  test("anything but a contract is refused", async () => {
    // @ts-expect-error: the definition is no contract
    await expect(scriptedServer(PatientOrders.definition)).rejects.toThrow(
      "scriptedServer: the first argument is no contract; pass the service's value out of its .contract.ts",
    );
  });

  test("types tell requests and responses apart", async () => {
    const { server } = await start();
    // @ts-expect-error: the request has no such field
    server.expect("getOrder", { orderNumber: "o-1" });
    // @ts-expect-error: the request has no such field
    server.expect("getOrder", ({ orderNumber }) => orderNumber === "o-1");
    // @ts-expect-error: a predicate tells whether
    server.expect("getOrder", ({ orderId }) => orderId);
    // @ts-expect-error: the response has no such field
    server.expect("getOrder").reply({ orderNumber: "o-1" });
    // @ts-expect-error: the response has no such field
    server.expect("watchOrders").send({ orderId: "o-1" });
    // @ts-expect-error: the requests have no such field
    server.expect("importOrders", [{ orderId: "o-1" }]);
    const [call] = server.calls;
    const orderId: string | undefined = call?.method === "getOrder" ? call.request.orderId : undefined;
    const count: number | undefined = call?.method === "importOrders" ? call.request.length : undefined;
    // @ts-expect-error: which request it is depends on the method
    expect([orderId, count, call?.request.orderId]).toEqual([undefined, undefined, undefined]);
  });
});

function abortable(): { signal: AbortSignal; abort(reason: unknown): void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}
