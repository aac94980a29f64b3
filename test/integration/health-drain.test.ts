import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { openAdmin, probe } from "../support/admin-port.ts";
import { connectHealth, NOT_SERVING, SERVING } from "../support/health.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";

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
