import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { type RpcError, Status } from "bowline";
import type { CallRule, SeenCall } from "bowline/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { OrderServiceClient, OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { connectOrders, rejection, serveOrders } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";
import { drained, endedCalls, onceHappened, portOf, proxyTo, throughProxy } from "../support/through-proxy.ts";

type Fault<Rule> = Rule extends unknown ? Omit<Rule, "on"> : never;

const rule = (fault: Fault<CallRule>) => ({ on: "call", ...fault }) as CallRule;

/** Handlers that count what reaches them. */
function counted() {
  const reached = { get: 0, create: 0, watched: 0 };
  const handlers: Partial<OrderServiceHandlers> = {
    getOrder: async ({ orderId }) => {
      reached.get += 1;
      return { orderId };
    },
    createOrder: async () => {
      reached.create += 1;
      return { orderId: "o-1" };
    },
    async *watchOrders() {
      reached.watched += 1;
      for (let revision = 1n; revision <= 5n; revision++) yield { revision };
    },
  };
  return { reached, handlers };
}

async function start(...faults: Fault<CallRule>[]) {
  const { reached, handlers } = counted();
  return { reached, ...(await throughProxy(handlers, faults.map(rule))) };
}

/** What of a call a test is about. */
const told = ({ fault, server, end }: SeenCall) => [fault, server, end];

describe("before the server sees it, a call", () => {
  test("is reset with a code", async () => {
    const { reached, orders, proxy } = await start({ fault: "reset" });
    const error = await rejection(orders.getOrder({}));
    expect(error).toMatchObject({ code: Status.INTERNAL, reason: "TRANSPORT", headersReceived: false });
    expect(reached.get).toBe(0);
    const [call] = await endedCalls(proxy);
    expect(call).toMatchObject({ rule: 0, fault: "reset", server: "not reached", end: "reset" });
    expect(call).toMatchObject({ resetCode: "INTERNAL_ERROR", status: undefined });
  });

  test.each([
    ["CANCEL", Status.CANCELLED],
    ["ENHANCE_YOUR_CALM", Status.RESOURCE_EXHAUSTED],
    ["INADEQUATE_SECURITY", Status.PERMISSION_DENIED],
    ["NO_ERROR", Status.INTERNAL],
  ] as const)("is reset with %s", async (code, status) => {
    const { orders, proxy } = await start({ fault: "reset", code });
    expect(await rejection(orders.getOrder({}))).toMatchObject({ code: status, origin: "local" });
    expect(await endedCalls(proxy)).toMatchObject([{ end: "reset", resetCode: code }]);
  });

  test("is refused, and made again by the transport", async () => {
    const { reached, orders, proxy } = await start({ fault: "reset", code: "REFUSED_STREAM", first: 1 });
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
    expect(reached.get).toBe(1);
    expect((await endedCalls(proxy)).map(told)).toEqual([
      ["reset", "not reached", "reset"],
      [undefined, "answered", "status"],
    ]);
  });

  test("loses its connection, and all other calls on it theirs", async () => {
    const { reached, orders, proxy } = await start({ fault: "cut", method: "GetOrder" });
    const open = orders.watchOrders({})[Symbol.asyncIterator]();
    await open.next();
    expect(await rejection(orders.getOrder({}))).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT" });
    const other = await drained({ [Symbol.asyncIterator]: () => open });
    expect(other.messages.length).toBeLessThanOrEqual(4);
    expect(reached.get).toBe(0);
    const { connections, calls } = await proxy.seen();
    expect(calls.map(told).at(1)).toEqual(["cut", "not reached", "cut"]);
    expect(connections).toMatchObject([{ protocol: "http2", server: "reached", fault: undefined }]);
    expect(connections[0]?.endedAt).toBeGreaterThan(connections[0]?.cameAt ?? 0);
  });

  test("hears nothing until its client leaves", async () => {
    const { reached, orders, proxy } = await start({ fault: "silent" });
    expect(await rejection(orders.getOrder({}, { signal: onceHappened(proxy) }))).toBe("left");
    expect(reached.get).toBe(0);
    expect(await endedCalls(proxy)).toMatchObject([
      { fault: "silent", server: "not reached", end: "cancelled", resetCode: "CANCEL" },
    ]);
  });

  test("is answered with a status alone, text and trailers included", async () => {
    const trailer = { "x-why": "stock", "x-key-bin": new Uint8Array([0, 255]) };
    const status = { fault: "status", code: "RESOURCE_EXHAUSTED", details: "100 % größer", pushbackMs: -1 } as const;
    const { reached, orders, proxy } = await start({ ...status, trailer });
    const error = (await rejection(orders.getOrder({}))) as RpcError;
    const said = { code: Status.RESOURCE_EXHAUSTED, details: "100 % größer", origin: "wire", headersReceived: false };
    expect(error).toMatchObject(said);
    expect(error.trailer?.get("x-why")).toBe("stock");
    expect(error.trailer?.get("x-key-bin")).toEqual(Buffer.from([0, 255]));
    expect(error.trailer?.get("grpc-retry-pushback-ms")).toBe("-1");
    expect(reached.get).toBe(0);
    expect(await endedCalls(proxy)).toMatchObject([
      { fault: "status", server: "not reached", end: "status", status: "RESOURCE_EXHAUSTED", resetCode: undefined },
    ]);
  });

  test("is answered with a status in the middle of its upload", async () => {
    const { orders, proxy } = await start({ fault: "status", code: "UNAVAILABLE" });
    async function* endless() {
      for (;;) yield { order: { customerId: "x".repeat(10_000) } };
    }
    expect(await rejection(orders.importOrders(endless()))).toMatchObject({ details: "injected" });
    expect(await endedCalls(proxy)).toMatchObject([{ end: "status", status: "UNAVAILABLE" }]);
  });
});

describe("after the response headers, a call", () => {
  test("is reset", async () => {
    const { reached, orders, proxy } = await start({ fault: "reset", code: "REFUSED_STREAM", afterMessages: 0 });
    const error = await rejection(orders.getOrder({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, headersReceived: true });
    expect(reached.get).toBe(1);
    expect(await endedCalls(proxy)).toMatchObject([{ fault: "reset", end: "reset", resetCode: "REFUSED_STREAM" }]);
  });

  test("is left without its message", async () => {
    const { reached, orders, proxy } = await start({ fault: "silent", afterMessages: 0 });
    expect(await rejection(orders.getOrder({}, { signal: onceHappened(proxy) }))).toBe("left");
    expect(reached.get).toBe(1);
    expect(await endedCalls(proxy)).toMatchObject([{ fault: "silent", end: "cancelled" }]);
  });
});

describe("after so many messages, a call", () => {
  test("is reset, and the server told that nobody waits", async () => {
    const left = Promise.withResolvers<unknown>();
    const { orders, proxy } = await throughProxy(
      {
        async *watchOrders(_request, { signal }) {
          signal.addEventListener("abort", () => left.resolve(signal.reason));
          for (let revision = 1n; revision <= 3n; revision++) yield { revision };
          await left.promise;
        },
      },
      [rule({ fault: "reset", code: "ENHANCE_YOUR_CALM", afterMessages: 2 })],
    );
    const { messages, error } = await drained(orders.watchOrders({}));
    expect(messages.map(({ revision }) => revision)).toEqual([1n, 2n]);
    expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, reason: "TRANSPORT", headersReceived: true });
    await left.promise;
    expect((await endedCalls(proxy)).map(told)).toEqual([["reset", "reached", "reset"]]);
  });

  test("loses its connection; what came is the beginning", async () => {
    const { orders, proxy } = await start({ fault: "cut", afterMessages: 2 });
    const { messages, error } = await drained(orders.watchOrders({}));
    expect([1n, 2n]).toEqual(expect.arrayContaining(messages.map(({ revision }) => revision)));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT" });
    expect((await endedCalls(proxy)).map(told)).toEqual([["cut", "answered", "cut"]]);
  });

  test("stalls", async () => {
    const { orders, proxy } = await start({ fault: "silent", afterMessages: 2 });
    const { messages, error } = await drained(orders.watchOrders({}, { signal: onceHappened(proxy) }));
    expect(messages.map(({ revision }) => revision)).toEqual([1n, 2n]);
    expect(error).toBe("left");
    expect(await endedCalls(proxy)).toMatchObject([{ fault: "silent", end: "cancelled" }]);
  });

  test("is reset between its last message and its status", async () => {
    const { orders } = await start({ fault: "reset", afterMessages: 5 });
    const { messages, error } = await drained(orders.watchOrders({}));
    expect([messages.length, error]).toMatchObject([5, { code: Status.INTERNAL }]);
  });

  test.each([1, 6])("passes untouched if it has fewer than %i", async (afterMessages) => {
    const { orders, proxy } = await start({ fault: "reset", afterMessages });
    if (afterMessages === 6) expect((await drained(orders.watchOrders({}))).error).toBeUndefined();
    else expect(await rejection(orders.listOrders({}).next())).toMatchObject({ code: Status.UNIMPLEMENTED });
    expect((await endedCalls(proxy)).map(told)).toEqual([[undefined, "answered", "status"]]);
  });
});

describe("once the server has done the work, its answer", () => {
  test.each([
    [{ fault: "drop" }, { code: Status.INTERNAL, reason: "TRANSPORT" }, "reset"],
    [{ fault: "drop", code: "CANCEL" }, { code: Status.CANCELLED, origin: "local" }, "reset"],
    [{ fault: "drop", clientSees: "cut" }, { code: Status.UNAVAILABLE, reason: "TRANSPORT" }, "cut"],
  ] as const)("is lost: %j", async (fault, error, end) => {
    const { reached, orders, proxy } = await start(fault);
    expect(await rejection(orders.createOrder({}))).toMatchObject({ ...error, headersReceived: false });
    expect(reached.create).toBe(1);
    expect((await endedCalls(proxy)).map(told)).toEqual([["drop", "answered", end]]);
  });

  test("is lost, and the client hears nothing", async () => {
    const { reached, orders, proxy } = await start({ fault: "drop", clientSees: "silent" });
    expect(await rejection(orders.createOrder({}, { signal: onceHappened(proxy) }))).toBe("left");
    expect(reached.create).toBe(1);
    expect((await endedCalls(proxy)).map(told)).toEqual([["drop", "answered", "cancelled"]]);
  });

  test("is lost if it is a refusal too", async () => {
    const { orders, proxy } = await start({ fault: "drop" });
    expect(await rejection(orders.importOrders((async function* () {})()))).toMatchObject({ code: Status.INTERNAL });
    expect((await endedCalls(proxy)).map(told)).toEqual([["drop", "answered", "reset"]]);
  });

  test("is held back", async () => {
    const { reached, orders, proxy } = await start({ fault: "delay", delayMs: 80 });
    const since = performance.now();
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
    expect(performance.now() - since).toBeGreaterThanOrEqual(80);
    const { messages } = await drained(orders.watchOrders({}));
    expect(messages.length).toBe(5);
    expect(await rejection(orders.importOrders((async function* () {})()))).toMatchObject({
      details: "not in this test",
    });
    expect(reached.get).toBe(1);
    const calls = await endedCalls(proxy);
    expect(calls.map(told)).toEqual(calls.map(() => ["delay", "answered", "status"]));
    for (const { cameAt, endedAt = 0 } of calls) expect(endedAt - cameAt).toBeGreaterThanOrEqual(80);
  });

  test("is held back from who has left", async () => {
    const { reached, orders, proxy } = await start({ fault: "delay", delayMs: 60_000 });
    expect(await rejection(orders.getOrder({}, { signal: onceHappened(proxy) }))).toBe("left");
    expect(reached.get).toBe(1);
    expect(await endedCalls(proxy)).toMatchObject([{ fault: "delay", end: "cancelled" }]);
  });
});

describe("a goodbye", () => {
  test("serves this call and lets the connection end", async () => {
    const { orders, proxy } = await start({ fault: "goaway", nth: [1] });
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
    expect(await orders.getOrder({ orderId: "o-2" })).toMatchObject({ orderId: "o-2" });
    const { connections, calls } = await proxy.seen();
    expect(calls.map(told)).toEqual([
      ["goaway", "answered", "status"],
      [undefined, "answered", "status"],
    ]);
    expect(calls.map(({ connection }) => connection)).toEqual([1, 2]);
    expect(connections.length).toBe(2);
    await vi.waitFor(async () => expect((await proxy.seen()).connections[0]?.endedAt).toBeDefined(), 10_000);
  });

  test("refuses this call, which the transport makes again elsewhere", async () => {
    const { reached, orders, proxy } = await start({ fault: "goaway", lastStream: "previous", first: 1 });
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
    expect(reached.get).toBe(1);
    expect((await endedCalls(proxy)).map((call) => [call.connection, ...told(call)])).toEqual([
      [1, "goaway", "not reached", "reset"],
      [2, undefined, "answered", "status"],
    ]);
  });

  test("in anger ends the connection at once", async () => {
    const { orders, proxy } = await start({ fault: "goaway", code: "ENHANCE_YOUR_CALM", first: 1 });
    expect(await rejection(orders.getOrder({}))).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, origin: "local" });
    expect(await orders.getOrder({ orderId: "o-2" })).toMatchObject({ orderId: "o-2" });
    expect((await endedCalls(proxy)).map((call) => [call.connection, call.fault, call.end])).toEqual([
      [1, "goaway", "cut"],
      [2, undefined, "status"],
    ]);
    await vi.waitFor(async () => expect((await proxy.seen()).connections[0]?.endedAt).toBeDefined(), 10_000);
  });

  /** A bare HTTP/2 client, until the test is over. */
  async function bare(port: number): Promise<ClientHttp2Session> {
    const session = connect(`http://127.0.0.1:${port}`).on("error", () => {});
    onTestFinished(() => session.destroy());
    await once(session, "remoteSettings");
    return session;
  }

  test.each([
    [{}, 0, 3],
    [{ lastStream: "previous" }, 0, 1],
    [{ lastStream: 101, code: "PROTOCOL_ERROR" }, 1, 101],
    [{ lastStream: 1, code: "INADEQUATE_SECURITY" }, 12, 1],
  ] as const)("says on the wire what %j means on the second stream", async (said, code, lastStream) => {
    const { port } = await serveOrders(counted().handlers);
    const proxy = await proxyTo(port, [rule({ fault: "goaway", nth: [2], ...said })]);
    const session = await bare(portOf(proxy));
    const call = () => session.request({ ":method": "POST", ":path": "/a/B", te: "trailers" }).on("error", () => {});
    await once(call().end().resume(), "close");
    const goaway = once(session, "goaway");
    call().end();
    expect((await goaway).slice(0, 2)).toEqual([code, lastStream]);
  });

  test("refuses what comes on later streams", async () => {
    const { port } = await serveOrders(counted().handlers);
    const proxy = await proxyTo(port, [rule({ fault: "goaway", method: "B" })]);
    const session = await bare(portOf(proxy));
    const call = (path: string) => {
      const stream = session.request({ ":method": "POST", ":path": path, te: "trailers" }).on("error", () => {});
      const closed = new Promise((resolve) => stream.on("close", () => resolve(stream.rstCode)));
      stream.end().resume();
      return closed;
    };
    expect(await Promise.all(["/a/A", "/a/B", "/a/C", "/a/D"].map(call))).toEqual([0, 0, 7, 7]);
    const [first, second, ...later] = (await proxy.seen()).calls;
    expect(first).toMatchObject({ fault: undefined, server: "answered" });
    expect(second).toMatchObject({ fault: "goaway", server: "answered" });
    for (const call of later) expect(call).toMatchObject({ server: "not reached", resetCode: "REFUSED_STREAM" });
  });
});

describe("which calls a rule takes", () => {
  const sequence = async (orders: OrderServiceClient, count: number) => {
    const outcomes: string[] = [];
    for (let call = 0; call < count; call++) {
      outcomes.push(
        await orders.getOrder({}).then(
          () => "-",
          () => "x",
        ),
      );
    }
    return outcomes.join("");
  };

  test.each([
    [{ every: 3 }, "--x--x--"],
    [{ first: 2 }, "xx------"],
    [{ nth: [1, 4] }, "x--x----"],
  ])("%j", async (which, expected) => {
    const { orders } = await start({ fault: "reset", ...which });
    expect(await sequence(orders, expected.length)).toBe(expected);
  });

  test.each(["GetOrder", "getOrder", "/shop.orders.v1.OrderService/GetOrder"])("those of %s", async (method) => {
    const { orders } = await start({ fault: "reset", method });
    expect(await sequence(orders, 1)).toBe("x");
    expect((await drained(orders.watchOrders({}))).error).toBeUndefined();
  });

  test("the same for the same seed", async () => {
    const { port } = await serveOrders(counted().handlers);
    const run = async (seed: number) => {
      const proxy = await proxyTo(port, [rule({ fault: "reset", ratio: 0.4 })], seed);
      expect(proxy.seed).toBe(seed);
      return await sequence(connectOrders(portOf(proxy)), 40);
    };
    const first = await run(1);
    expect(first).toMatch(/x.*-|-.*x/);
    expect(await run(1)).toBe(first);
    expect(await run(2)).not.toBe(first);
  });

  test("those of a new script, counted anew", async () => {
    const { orders, proxy } = await start({ fault: "reset", first: 2 });
    expect(await sequence(orders, 3)).toBe("xx-");
    await proxy.script(rule({ fault: "reset", first: 1 }));
    expect(await sequence(orders, 2)).toBe("x-");
    await proxy.script();
    expect(await sequence(orders, 3)).toBe("---");
  });
});

test("attempts are told apart, and a pushback is kept", async () => {
  const Retried = contract<typeof PatientOrders.definition, OrderServiceClient, OrderServiceHandlers>({
    ...PatientOrders,
    methods: { ...PatientOrders.methods, getOrder: { timeoutMs: 10_000, retry: { maxAttempts: 3 } } },
  });
  const { port } = await serveOrders(counted().handlers);
  const proxy = await proxyTo(port, [rule({ fault: "status", code: "UNAVAILABLE", pushbackMs: 60, first: 2 })]);
  await connectOrders(portOf(proxy), {}, Retried).getOrder({});
  const calls = await endedCalls(proxy);
  expect(calls.map(({ previousAttempts, status }) => [previousAttempts, status])).toEqual([
    [0, "UNAVAILABLE"],
    [1, "UNAVAILABLE"],
    [2, "OK"],
  ]);
  const waits = calls.slice(1).map(({ cameAt }, index) => cameAt - (calls[index]?.endedAt ?? Number.NaN));
  for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(60);
});
