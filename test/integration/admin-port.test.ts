import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { get } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import { openAdmin, probe } from "../support/admin-port.ts";
import { serveChecked } from "../support/health.ts";
import { serveOrders } from "../support/orders.ts";

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

  const noPort = "the address must be host:port, such as 127.0.0.1:8081, or unix:/path";
  test.each([
    ["127.0.0.1", noPort],
    [":0", noPort],
    ["8081", noPort],
    ["unix:", noPort],
    ["http://127.0.0.1:8081", "the address is no URL: leave http:// or https:// out"],
  ])("refuses %j", async (address, problem) => {
    const { server } = await serveOrders({});
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
