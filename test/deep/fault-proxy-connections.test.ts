import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { Status } from "bowline";
import { createServer as createOrdersServer } from "bowline/server";
import type { ConnectionRule } from "bowline/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { connectOrders, ordersHandlers, rejection } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";
import { rawCall } from "../support/raw-http2.ts";
import { drained, portOf, proxyTo, throughProxy } from "../support/through-proxy.ts";

type Fault<Rule> = Rule extends unknown ? Omit<Rule, "on"> : never;

const rule = (fault: Fault<ConnectionRule>) => ({ on: "connection", ...fault }) as ConnectionRule;

const handlers: Partial<OrderServiceHandlers> = {
  getOrder: async ({ orderId }) => ({ orderId }),
  async *watchOrders() {
    for (let revision = 1n; revision <= 2_000n; revision++) yield { revision };
  },
};

const start = (...faults: Fault<ConnectionRule>[]) => throughProxy(handlers, faults.map(rule));

/** A server that keeps what it receives, answers with it, and lets a test look. */
async function echo(): Promise<{ port: number; received(): string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  let received = "";
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket.on("error", () => {}));
    socket.on("data", (bytes) => {
      received += bytes;
    });
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as { port: number }).port, received: () => received, sockets };
}

/** A bare connection, what came on it, and how it ended. */
async function dial(port: number) {
  const socket = connect(port, "127.0.0.1");
  const state = { received: "", end: "" };
  socket.on("data", (bytes) => {
    state.received += bytes;
  });
  socket.on("end", () => {
    state.end ||= "end";
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    state.end = error.code ?? "";
  });
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  onTestFinished(() => void socket.destroy());
  return { socket, state, closed };
}

describe("bytes of any protocol", () => {
  test("pass in both directions, and so does each end", async () => {
    const server = await echo();
    const proxy = await proxyTo(server.port);
    const { socket, state, closed } = await dial(portOf(proxy));
    const text = "abc".repeat(100_000);
    socket.end(text);
    await closed;
    expect(server.received()).toBe(text);
    expect(state).toEqual({ received: text, end: "end" });
    const { connections } = await proxy.seen();
    expect(connections).toMatchObject([{ id: 1, protocol: "other", server: "reached", fault: undefined }]);
  });

  test.each<[Fault<ConnectionRule>, string]>([
    [{ fault: "cut", afterBytes: 7 }, "0123456"],
    [{ fault: "cut", afterBytes: 0 }, ""],
  ])("are cut towards the client: %j", async (fault, received) => {
    const server = await echo();
    const proxy = await proxyTo(server.port, [rule(fault)]);
    const { socket, state, closed } = await dial(portOf(proxy));
    socket.write("0123456789");
    await closed;
    expect(state).toEqual({ received, end: "ECONNRESET" });
    expect((await proxy.seen()).connections).toMatchObject([{ fault: "cut", rule: 0 }]);
    await vi.waitFor(() => expect(server.sockets.map(({ destroyed }) => destroyed)).toEqual([true]));
  });

  test("are cut towards the server", async () => {
    const server = await echo();
    const proxy = await proxyTo(server.port, [rule({ fault: "cut", afterBytes: 7, towards: "server" })]);
    const { socket, state, closed } = await dial(portOf(proxy));
    socket.write("0123456789");
    await closed;
    expect(state.end).toBe("ECONNRESET");
    await vi.waitFor(() => expect(server.sockets.map(({ destroyed }) => destroyed)).toEqual([true]));
    expect("0123456").toContain(server.received());
  });

  test.each(["client", "server"] as const)(
    "have one bit flipped towards the %s, the same for a seed",
    async (towards) => {
      const server = await echo();
      const run = async () => {
        const proxy = await proxyTo(server.port, [rule({ fault: "corrupt", afterBytes: 3, towards })], 5);
        const { socket, state, closed } = await dial(portOf(proxy));
        socket.end("0000000000");
        await closed;
        return state.received;
      };
      const corrupted = await run();
      expect(corrupted).toMatch(/^000[^0]000000$/);
      const flipped = corrupted.charCodeAt(3) ^ "0".charCodeAt(0);
      expect(Math.log2(flipped) % 1).toBe(0);
      expect(await run()).toBe(corrupted);
    },
  );

  test("pass no more, and neither side is told that the other has left", async () => {
    const server = await echo();
    const proxy = await proxyTo(server.port, [rule({ fault: "half-open", afterBytes: 4 })]);
    const { socket, state } = await dial(portOf(proxy));
    socket.write("0123456789");
    await vi.waitFor(async () => expect((await proxy.seen()).connections).toMatchObject([{ fault: "half-open" }]));
    await vi.waitFor(() => expect(state.received).toBe("0123"));
    socket.write("more");
    socket.end();
    await vi.waitFor(async () => expect((await proxy.seen()).connections[0]?.endedAt).toBeDefined());
    expect(server.received()).toBe("0123456789");
    expect(server.sockets.map(({ readableEnded, destroyed }) => [readableEnded, destroyed])).toEqual([[false, false]]);
  });

  test("are delayed in either direction", async () => {
    const server = await echo();
    const proxy = await proxyTo(server.port, [rule({ fault: "delay", delayMs: 40 })]);
    const { socket, state, closed } = await dial(portOf(proxy));
    const since = performance.now();
    socket.end("0123456789");
    await closed;
    expect(state.received).toBe("0123456789");
    expect(performance.now() - since).toBeGreaterThanOrEqual(80);
  });

  test("are throttled in one direction", async () => {
    const server = await echo();
    const proxy = await proxyTo(server.port, [rule({ fault: "throttle", bytesPerSecond: 10_000, towards: "client" })]);
    const { socket, state, closed } = await dial(portOf(proxy));
    const since = performance.now();
    socket.end("x".repeat(2_000));
    await closed;
    expect(state.received.length).toBe(2_000);
    // The first portion goes at once.
    expect(performance.now() - since).toBeGreaterThanOrEqual(180);
  });

  test("go nowhere, and the server is not dialled", async () => {
    const server = await echo();
    const proxy = await proxyTo(server.port, [rule({ fault: "silent", first: 1 })]);
    const silent = await dial(portOf(proxy));
    silent.socket.write("anyone?");
    const heard = await dial(portOf(proxy));
    heard.socket.end("0123456789");
    await heard.closed;
    expect([silent.state, heard.state.received]).toEqual([{ received: "", end: "" }, "0123456789"]);
    expect(server.sockets.length).toBe(1);
    expect((await proxy.seen()).connections.map(({ fault, server }) => [fault, server])).toEqual([
      ["silent", "not reached"],
      [undefined, "reached"],
    ]);
  });
});

describe("calls on a connection", () => {
  test("end UNAVAILABLE when it is cut towards the client, and the messages before it came whole", async () => {
    const { orders, proxy } = await start({ fault: "cut", afterBytes: 10_000, first: 1 });
    const { messages, error } = await drained(orders.watchOrders({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT" });
    expect(messages.length).toBeLessThan(2_000);
    expect(messages.map(({ revision }) => revision)).toEqual(messages.map((_, index) => BigInt(index + 1)));
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
    const { connections, calls } = await proxy.seen();
    expect(connections.map(({ fault, rule }) => [fault, rule])).toEqual([
      ["cut", 0],
      [undefined, undefined],
    ]);
    expect(calls).toMatchObject([{ fault: undefined, end: "disconnected" }, { end: "status" }]);
  });

  test("never reach the server whole when it is cut towards that", async () => {
    const got = vi.fn(async () => ({}));
    const cut = rule({ fault: "cut", afterBytes: 20_000, towards: "server", first: 1 });
    const { orders, proxy } = await throughProxy({ getOrder: got }, [cut]);
    const error = await rejection(orders.getOrder({ orderId: "x".repeat(100_000) }));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT" });
    expect(got).not.toHaveBeenCalled();
    expect((await proxy.seen()).calls).toMatchObject([{ server: "reached", end: "disconnected" }]);
  });

  test("wait for a connection that is silent, and go over the next one", async () => {
    const options = { connectTimeoutMs: 200, initialReconnectBackoffMs: 1 };
    const { orders, proxy } = await throughProxy(handlers, [rule({ fault: "silent", first: 1 })], options);
    expect(await orders.getOrder({ orderId: "o-1" }, { waitForReady: true })).toMatchObject({ orderId: "o-1" });
    const [first, ...further] = (await proxy.seen()).connections;
    expect(first).toMatchObject({ fault: "silent", protocol: undefined });
    expect(further.length).toBeGreaterThan(0);
  });

  test("are left by keepalive when it is half-open", async () => {
    const options = { keepaliveTimeMs: 200, keepaliveTimeoutMs: 200 };
    const stalled = rule({ fault: "half-open", afterBytes: 1_000, first: 1 });
    const { orders, proxy } = await throughProxy(handlers, [stalled], options);
    const { error } = await drained(orders.watchOrders({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT" });
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
    expect((await proxy.seen()).connections.map(({ fault }) => fault)).toEqual(["half-open", undefined]);
  });

  test("survive delay and throttle", async () => {
    const { orders } = await start({ fault: "throttle", bytesPerSecond: 100_000, nth: [1] });
    expect((await drained(orders.watchOrders({}))).messages.length).toBe(2_000);
    const delayed = await start({ fault: "delay", delayMs: 20 });
    expect((await drained(delayed.orders.watchOrders({}))).messages.length).toBe(2_000);
  });

  test.each([4, 30, 200, 1_000])(
    "end somehow when byte %i is corrupt, and the next connection is whole",
    async (afterBytes) => {
      for (const towards of ["client", "server"] as const) {
        const { orders, proxy } = await start({ fault: "corrupt", afterBytes, towards, first: 1 });
        await drained(orders.watchOrders({}, { timeoutMs: 1_000 }));
        expect(await rawCall(portOf(proxy), "/shop.orders.v1.OrderService/GetOrder", {})).toBe(Status.OK);
      }
    },
  );
});

describe("TLS", () => {
  const pem = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url));

  async function secure(): Promise<number> {
    const server = createOrdersServer({ drainOn: [], validation: false }).add(PatientOrders, ordersHandlers(handlers));
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    return await server.listen("127.0.0.1:0", { tls: { cert: pem("server.pem"), key: pem("server.key") } });
  }

  test("passes as bytes; that rules for calls do not apply is said, once for each script", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warn.mockRestore());
    const reset = { on: "call", fault: "reset" } as const;
    const proxy = await proxyTo(await secure(), [reset]);
    const call = () => connectOrders(portOf(proxy), { tls: { ca: pem("ca.pem") } }).getOrder({ orderId: "o-1" });
    expect(await call()).toMatchObject({ orderId: "o-1" });
    expect(await call()).toMatchObject({ orderId: "o-1" });
    const { connections, calls } = await proxy.seen();
    expect(connections).toMatchObject([{ protocol: "other" }, { protocol: "other" }]);
    expect(calls).toEqual([]);
    const text = "a connection that is not plaintext HTTP/2 came: rules for calls do not apply to it";
    const warnings = () => warn.mock.calls.map(([warning]) => String(warning)).filter((one) => /^bowline/.test(one));
    expect(warnings()).toEqual([`bowline: fault proxy: ${text}`]);
    await proxy.script();
    await call();
    await proxy.script(reset);
    await call();
    await proxy.seen();
    expect(warnings().length).toBe(2);
  });

  test("is cut as any connection", async () => {
    const proxy = await proxyTo(await secure(), [rule({ fault: "cut", afterBytes: 3_000, first: 1 })]);
    const orders = connectOrders(portOf(proxy), { tls: { ca: pem("ca.pem") } });
    const { error } = await drained(orders.watchOrders({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT" });
    expect(await orders.getOrder({ orderId: "o-1" }, { waitForReady: true })).toMatchObject({ orderId: "o-1" });
  });
});
