import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { get } from "node:http";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { closeClient, createClient } from "bowline";
import { createServer, type HealthCheckContext, type HealthCheckOptions } from "bowline/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { Health } from "../../gen/health/v1/health.contract.ts";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { openAdmin, probe } from "../support/admin-port.ts";
import { connectOrders, gate, ordersHandlers, rejection, serveOrders } from "../support/orders.ts";
import { hasTool, runBeside } from "../support/tools.ts";

const [SERVING, NOT_SERVING] = [1, 2];
const quick: HealthCheckOptions = { intervalMs: 20, timeoutMs: 1_000 };

/** Asks a server's health service until the test is over. */
function connectHealth(port: number) {
  const health = createClient(Health, `127.0.0.1:${port}`);
  onTestFinished(() => closeClient(health));
  return health;
}

/** Serves orders, and what a test says of a dependency. */
async function serveChecked(check: HealthCheckOptions = quick) {
  const dependency = { error: undefined as Error | undefined };
  const { server, port } = await serveOrders({});
  server.health.check(
    "database",
    async () => {
      if (dependency.error) throw dependency.error;
    },
    check,
  );
  return { server, port, dependency };
}

/** A database of one word over TCP, which answers until it is told to be silent. */
async function wordDatabase() {
  const database = { silent: false, delayMs: 0 };
  const sockets = new Set<Socket>();
  const listener = createTcpServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", () => setTimeout(() => database.silent || socket.end("pong"), database.delayMs));
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
  });
  const { port } = listener.address() as { port: number };
  const ping = async ({ signal }: HealthCheckContext) => {
    const socket = connect({ port, host: "127.0.0.1", signal });
    socket.write("ping");
    const [answer] = await once(socket, "data", { signal });
    return String(answer) === "pong";
  };
  return { database, ping, open: () => sockets.size };
}

describe("on the standard health service", () => {
  test("Watch is told when a dependency goes and when it is back, and never why", async () => {
    const { server, port, dependency } = await serveChecked({ ...quick, services: [OrderService] });
    await expect.poll(() => server.health.get("")).toBe("SERVING");
    const health = connectHealth(port);
    const watches = [OrderService.name, ""].map((service) => health.watch({ service })[Symbol.asyncIterator]());
    const next = async () => Promise.all(watches.map(async (watch) => (await watch.next()).value));
    expect(await next()).toEqual([{ status: SERVING }, { status: SERVING }]);
    dependency.error = new Error("password authentication failed for user admin");
    expect(await next()).toEqual([{ status: NOT_SERVING }, { status: NOT_SERVING }]);
    expect(await health.check({ service: OrderService.name })).toEqual({ status: NOT_SERVING });
    expect((await health.list({})).statuses).toEqual({
      "": { status: NOT_SERVING },
      [OrderService.name]: { status: NOT_SERVING },
    });
    dependency.error = undefined;
    expect(await next()).toEqual([{ status: SERVING }, { status: SERVING }]);
    expect(await health.check({ service: OrderService.name })).toEqual({ status: SERVING });
  });

  test.skipIf(!hasTool({ name: "grpcurl", install: "go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3" }))(
    "grpcurl sees it",
    async () => {
      const { server, port } = await serveOrders({});
      server.health.check("database", () => false);
      const call = ["-plaintext", "-d", `{"service":"${OrderService.name}"}`, `127.0.0.1:${port}`];
      const answer = await runBeside("grpcurl", [...call, "grpc.health.v1.Health/Check"]);
      expect(JSON.parse(answer)).toEqual({ status: "NOT_SERVING" });
    },
  );
});

test("a server with a check of a service that it does not have serves no address", async () => {
  const server = createServer({ drainOn: [], idempotency: false, validation: false });
  server.health.check("database", () => true, { services: [OrderService] });
  // @ts-expect-error: the types take contracts alone
  expect(() => server.health.check("users", () => true, { services: [OrderServiceDefinition] })).toThrow(TypeError);
  const missing =
    'health.check("database"): services has shop.orders.v1.OrderService, which was not added to the server';
  await expect(server.listen("localhost")).rejects.toThrow(
    new TypeError(
      `listen("localhost"): the address must be host:port, such as 0.0.0.0:50051, or unix:/path; ${missing}`,
    ),
  );
  const port = await server.add(OrderService, ordersHandlers({})).listen("127.0.0.1:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  await expect.poll(() => connectHealth(port).check({ service: OrderService.name })).toEqual({ status: SERVING });
});

describe("a dependency over a real socket", () => {
  test("is away when it no longer answers, leaves nothing open, and is back", async () => {
    const { database, ping, open } = await wordDatabase();
    const { server } = await serveOrders({});
    const ask = await openAdmin(server);
    server.health.check("database", ping, { intervalMs: 20, timeoutMs: 150 });
    await expect.poll(async () => (await ask("/readyz")).code).toBe(200);
    database.silent = true;
    await expect.poll(async () => (await ask("/readyz")).code).toBe(503);
    expect((await ask("/readyz")).text).toContain("[-]database failed: no answer within 150 ms");
    database.silent = false;
    await expect.poll(async () => (await ask("/readyz")).code).toBe(200);
    await server.drain();
    await expect.poll(open).toBe(0);
  });

  test("is not away because this process stood still", async () => {
    const { database, ping } = await wordDatabase();
    database.delayMs = 50;
    const { server } = await serveOrders({});
    const asked = gate();
    server.health.check(
      "database",
      (context) => {
        asked.resolve();
        return ping(context);
      },
      { timeoutMs: 200 },
    );
    await asked.promise;
    for (const until = performance.now() + 600; performance.now() < until; );
    await expect.poll(() => server.health.results()[0]?.status).not.toBe("pending");
    expect(server.health.results()[0]).toMatchObject({ status: "passing", error: undefined });
  });
});

describe("on the admin port", () => {
  test("readyz follows deep checks, livez does not, startupz is over once", async () => {
    const { server, dependency } = await serveChecked();
    const ask = await openAdmin(server);
    await expect.poll(async () => (await ask("/startupz")).code).toBe(200);
    expect(await ask("/readyz")).toMatchObject({ code: 200, text: "ok" });
    dependency.error = new Error("connect ECONNREFUSED 127.0.0.1:5432");
    await expect.poll(async () => (await ask("/readyz")).code).toBe(503);
    const lines = (await ask("/readyz")).text.replace(/\d+ ms/g, "n ms").split("\n");
    expect(lines).toEqual([
      "[+]server ok",
      "[-]database failed: connect ECONNREFUSED 127.0.0.1:5432 (n ms, n ms ago)",
      "readyz check failed",
      "",
    ]);
    expect(await ask("/readyz?exclude=database")).toMatchObject({ code: 200 });
    expect([(await ask("/livez")).code, (await ask("/startupz")).code]).toEqual([200, 200]);
    dependency.error = undefined;
    await expect.poll(async () => (await ask("/readyz")).code).toBe(200);
  });

  test("two hundred probes at once are one run of a business check, and none of a deep one", async () => {
    const { server } = await serveOrders({});
    const ask = await openAdmin(server);
    const runs = { deep: 0, business: 0 };
    server.health.check("database", () => void runs.deep++, { intervalMs: 60_000 });
    server.health.check(
      "order",
      async () => {
        runs.business++;
        await new Promise((resolve) => setTimeout(resolve, 50));
      },
      { depth: "business", intervalMs: 60_000, timeoutMs: 10_000 },
    );
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask("/readyz?depth=business")));
    expect(answers.filter(({ code, text }) => code === 200 && text === "ok")).toHaveLength(200);
    expect(runs).toEqual({ deep: 1, business: 1 });
  });

  test.each<[string, RequestInit, number, object]>([
    ["/livez", {}, 200, { "content-length": "2" }],
    ["/livez", { method: "HEAD" }, 200, { "content-length": "2" }],
    ["/readyz", {}, 503, {}],
    ["/readyz", { method: "HEAD" }, 503, {}],
    ["/readyz", { headers: { accept: "application/json" } }, 503, { "content-type": "application/json" }],
    ["/readyz?depth=all", {}, 400, {}],
    ["/healthz", {}, 404, {}],
    ["/", { method: "POST", body: "{}" }, 404, {}],
    ["/readyz", { method: "POST", body: "x".repeat(1_000_000) }, 405, { allow: "GET, HEAD" }],
    ["/livez", { method: "OPTIONS" }, 405, { allow: "GET, HEAD" }],
  ])("%s %j is answered %i, and kept by nobody", async (path, init, code, headers) => {
    const { server } = await serveOrders({});
    server.health.set("", "NOT_SERVING");
    const answer = await (await openAdmin(server))(path, init);
    expect(answer.code).toBe(code);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      ...{ "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", connection: "close" },
      ...headers,
    });
    expect(answer.text === "").toBe(init.method === "HEAD");
  });

  test.each([
    ["HTTP/1.0 without a host", "GET /livez HTTP/1.0\r\n\r\n", /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nok$/],
    ["what is no HTTP", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["headers without end", `GET /livez HTTP/1.1\r\nx: ${"y".repeat(20_000)}`, /^HTTP\/1\.1 431 /],
    [
      "two requests in one breath",
      "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2),
      /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok$/,
    ],
    ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", /^$/],
  ])("%s ends with its answer", async (_, sent, answer) => {
    const { server } = await serveOrders({});
    const port = await server.listenAdmin("127.0.0.1:0");
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    socket.write(sent);
    const received: Buffer[] = [];
    socket.on("data", (chunk) => received.push(chunk));
    await once(socket, "close");
    expect(Buffer.concat(received).toString()).toMatch(answer);
    expect((await probe(port, "/livez")).text).toBe("ok");
  });

  test("is a socket file where it is asked to, and takes it away", async () => {
    const { server } = await serveOrders({});
    const socketPath = join(await mkdtemp(join(tmpdir(), "bowline-admin-")), "admin.sock");
    onTestFinished(() => rm(dirname(socketPath), { recursive: true }));
    expect(await server.listenAdmin(`unix:${socketPath}`)).toBe(0);
    const [response] = await once(get({ socketPath, path: "/livez" }), "response");
    expect(await text(response)).toBe("ok");
    await server.drain();
    await expect(stat(socketPath)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("300 connections that ask nothing keep no probe out", async () => {
    const { server } = await serveOrders({});
    const port = await server.listenAdmin("127.0.0.1:0");
    const idle = Array.from({ length: 300 }, () => connect(port, "127.0.0.1").on("error", () => {}));
    onTestFinished(() => {
      for (const socket of idle) socket.destroy();
    });
    await Promise.all(idle.map((socket) => socket.connecting && once(socket, "connect")));
    expect((await probe(port, "/livez")).text).toBe("ok");
    const closed = () => idle.filter((socket) => socket.resume().readableEnded || socket.destroyed);
    await expect.poll(() => closed().length).toBe(45);
    expect([closed().includes(idle[0] as Socket), closed().includes(idle[299] as Socket)]).toEqual([true, false]);
  });

  test.each([["127.0.0.1"], [":0"], ["8081"], ["unix:"]])("refuses %j", async (address) => {
    const { server } = await serveOrders({});
    const problem = "the address must be host:port, such as 127.0.0.1:8081, or unix:/path";
    const message = `listenAdmin(${JSON.stringify(address)}): ${problem}`;
    await expect(server.listenAdmin(address)).rejects.toThrow(new TypeError(message));
  });

  test("rejects where it cannot be bound, and is served elsewhere", async () => {
    const { server } = await serveOrders({});
    const port = await server.listenAdmin("127.0.0.1:0");
    await expect(server.listenAdmin(`127.0.0.1:${port}`)).rejects.toMatchObject({ code: "EADDRINUSE" });
    await expect(server.listenAdmin("127.0.0.1:70000")).rejects.toMatchObject({ code: "ERR_SOCKET_BAD_PORT" });
    const other = await server.listenAdmin("[::1]:0").catch(() => server.listenAdmin("localhost:0"));
    expect(other).not.toBe(port);
    expect((await probe(port, "/livez")).code).toBe(200);
  });
});

describe("in a drain", () => {
  test("readyz is 503 at once, calls are taken for the delay, and the admin port closes last", async () => {
    const [began, finish] = [gate(), gate()];
    const { server, port } = await serveOrders({
      async getOrder({ orderId }) {
        if (orderId !== "slow") return { orderId };
        began.resolve();
        await finish.promise;
        return { orderId };
      },
      async *listOrders() {
        yield { orderId: "listed" };
      },
    });
    const ask = await openAdmin(server);
    const orders = connectOrders(port);
    const watch = connectHealth(port).watch({})[Symbol.asyncIterator]();
    expect(await watch.next()).toMatchObject({ value: { status: SERVING } });
    const slow = orders.getOrder({ orderId: "slow" }, { timeoutMs: 10_000 });
    await began.promise;
    const drained = server.drain({ delayMs: 1_000, timeoutMs: 10_000 });
    expect(await watch.next()).toMatchObject({ value: { status: NOT_SERVING } });
    expect((await ask("/readyz?depth=shallow")).text).toContain("[-]server failed: it is draining");
    expect((await ask("/livez")).code).toBe(200);
    expect(await orders.getOrder({ orderId: "late" })).toMatchObject({ orderId: "late" });
    expect(await Array.fromAsync(orders.listOrders({}))).toMatchObject([{ orderId: "listed" }]);
    expect(await rejection(watch.next())).toMatchObject({ reason: "DRAINING" });
    expect(server.activeCalls).toBe(1);
    expect([(await ask("/readyz")).code, (await ask("/livez")).code, (await ask("/startupz")).code]).toEqual([
      ...[503, 200, 200],
    ]);
    finish.resolve();
    expect(await slow).toMatchObject({ orderId: "slow" });
    expect(await drained).toEqual({ abandoned: 0 });
    await expect(ask("/livez")).rejects.toThrow("fetch failed");
    await expect(server.listenAdmin("127.0.0.1:0")).rejects.toThrow(new Error("the server is drained"));
  });

  test("whoever waits for a check is answered, and nobody keeps the port open", async () => {
    const { server } = await serveOrders({});
    const port = await server.listenAdmin("127.0.0.1:0");
    const [began, aborted] = [gate(), gate<unknown>()];
    server.health.check(
      "order",
      ({ signal }) => {
        began.resolve();
        signal.addEventListener("abort", () => aborted.resolve(signal.reason));
        return new Promise(() => {});
      },
      { depth: "business", timeoutMs: 60_000 },
    );
    const waiting = probe(port, "/readyz?depth=business");
    const idle = connect(port, "127.0.0.1").on("error", () => {});
    const closed = once(idle, "close");
    idle.write("GET /livez HTTP/1.1\r\n");
    await began.promise;
    const opening = server.listenAdmin("127.0.0.1:0");
    await server.drain();
    expect(await waiting).toMatchObject({ code: 503 });
    expect(await aborted.promise).toMatchObject({ name: "AbortError" });
    await closed;
    await expect(probe(await opening, "/livez")).rejects.toThrow("fetch failed");
  });

  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])("a delay of %d ms is refused", async (delayMs) => {
    const { server } = await serveOrders({});
    const message = `drain: delayMs must be finite, zero or greater; it is ${delayMs}`;
    await expect(server.drain({ delayMs })).rejects.toThrow(new TypeError(message));
    expect(server.health.get("")).toBe("SERVING");
  });

  test("a process that gets SIGTERM says so until its last call has ended", async () => {
    const child = fork(new URL("../support/health-process.ts", import.meta.url), { execArgv: process.execArgv });
    onTestFinished(() => void child.kill("SIGKILL"));
    const { port, admin } = (await message(child)) as { port: number; admin: number };
    await expect.poll(async () => (await probe(admin, "/readyz")).code).toBe(200);
    const orders = connectOrders(port);
    const slow = orders.getOrder({ orderId: "slow" }, { timeoutMs: 10_000 });
    await message(child);
    child.kill("SIGTERM");
    await expect.poll(async () => (await probe(admin, "/readyz")).code).toBe(503);
    // Until the port of calls is closed.
    await expect.poll(() => connects(port)).toBe(false);
    expect([(await probe(admin, "/readyz")).code, (await probe(admin, "/livez")).code]).toEqual([503, 200]);
    child.send("finish");
    expect(await slow).toMatchObject({ orderId: "slow" });
    expect(await once(child, "exit")).toEqual([null, "SIGTERM"]);
  });
});

async function message(child: ChildProcess): Promise<unknown> {
  const [value] = await once(child, "message");
  return value;
}

function connects(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  return new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}
