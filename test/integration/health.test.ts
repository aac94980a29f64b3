import { once } from "node:events";
import { connect, createServer as createTcpServer, type Socket } from "node:net";
import { createServer, type HealthCheckContext, type HealthCheckOptions } from "bowline/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { openAdmin } from "../support/admin-port.ts";
import { connectHealth, NOT_SERVING, quick, SERVING, serveChecked } from "../support/health.ts";
import { gate, ordersHandlers, serveOrders } from "../support/orders.ts";
import { hasTool, runBeside } from "../support/tools.ts";

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
  const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false });
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

test("a server with a status of a service that it does not have serves no address", async () => {
  const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false });
  server.health.set(OrderService.name, "NOT_SERVING");
  server.health.set("shop.orders.v1.Orders", "NOT_SERVING");
  server.add(OrderService, ordersHandlers({}));
  await expect(server.listen("127.0.0.1:0")).rejects.toThrow(
    new TypeError(
      'listen("127.0.0.1:0"): health.set: service must be one that was added to the server, ' +
        `which has "", "${OrderService.name}"; it is "shop.orders.v1.Orders"`,
    ),
  );
  expect(server.health.get(OrderService.name)).toBe("NOT_SERVING");
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

  test("may take longer than Node's timers wait", async () => {
    const { database, ping } = await wordDatabase();
    database.delayMs = 20;
    const { server } = await serveOrders({});
    server.health.check("database", ping, { timeoutMs: 3e9, intervalMs: 3e9 });
    await expect.poll(() => server.health.results()[0]).toMatchObject({ status: "passing", error: undefined });
  });

  test("is seen to be away while business checks hang", async () => {
    const { server, dependency } = await serveChecked(quick, { maxConcurrentChecks: 1 });
    const ask = await openAdmin(server);
    await expect.poll(async () => (await ask("/readyz")).code).toBe(200);
    const began = gate();
    const business: HealthCheckOptions = { depth: "business", timeoutMs: 60_000 };
    server.health.check("hangs", () => new Promise(() => began.resolve()), business);
    server.health.check("waits", () => true, business);
    const asked = ask("/readyz?depth=business");
    await began.promise;
    dependency.error = new Error("connect ECONNREFUSED 127.0.0.1:5432");
    await expect.poll(() => server.health.get("")).toBe("NOT_SERVING");
    await server.drain();
    expect((await asked).text).toContain("[-]database failed: connect ECONNREFUSED 127.0.0.1:5432");
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
