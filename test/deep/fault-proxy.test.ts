import { execFileSync, fork, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Session, connect, createServer, type ServerHttp2Stream } from "node:http2";
import { connect as connectTcp } from "node:net";
import { closeClient, Status } from "bowline";
import { type FaultProxy, faultProxy } from "bowline/testing";
import { Metadata } from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { freePort } from "../support/free-port.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";
import { ROOT } from "../support/run.ts";
import { silentServer } from "../support/silent-server.ts";
import { drained, endedCalls, portOf, proxyTo, throughProxy } from "../support/through-proxy.ts";

describe("without rules, calls pass untouched", () => {
  test("of all four kinds", async () => {
    const { orders, proxy } = await throughProxy({
      getOrder: async ({ orderId }) => ({ orderId, totalCents: 5n }),
      async *watchOrders() {
        yield { revision: 1n };
        yield { revision: 2n };
      },
      async importOrders(requests) {
        let imported = 0;
        for await (const _ of requests) imported += 1;
        return { imported };
      },
      async *quoteBaskets(requests) {
        for await (const { items } of requests) yield { totalCents: BigInt(items.length) };
      },
    });
    async function* baskets() {
      yield { items: [{}] };
      yield { items: [{}, {}] };
    }
    expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1", totalCents: 5n });
    expect((await drained(orders.watchOrders({}))).messages).toMatchObject([{ revision: 1n }, { revision: 2n }]);
    expect(await orders.importOrders(baskets() as never)).toMatchObject({ imported: 2 });
    expect((await drained(orders.quoteBaskets(baskets()))).messages).toMatchObject([
      { totalCents: 1n },
      { totalCents: 2n },
    ]);
    const calls = await endedCalls(proxy);
    expect(calls.map(({ method }) => method.split("/")[2])).toEqual([
      "GetOrder",
      "WatchOrders",
      "ImportOrders",
      "QuoteBaskets",
    ]);
    const passed = { connection: 1, server: "answered", end: "status", status: "OK", previousAttempts: 0 };
    for (const call of calls) expect(call).toMatchObject({ ...passed, fault: undefined, resetCode: undefined });
  });

  test("with metadata both ways, and refusals with theirs", async () => {
    const bytes = new Uint8Array([0, 1, 255]);
    const seen: unknown[] = [];
    const { orders } = await throughProxy({
      async getOrder(_request, { metadata, header, trailer }) {
        seen.push(metadata.get("x-text"), metadata.getAll("x-key-bin"));
        header.set("x-header", "h");
        header.set("x-header-bin", [bytes, bytes]);
        trailer.set("x-trailer", "t");
        return {};
      },
    });
    const told: unknown[] = [];
    const metadata = Metadata({ "x-text": "a b", "x-key-bin": [bytes, new Uint8Array()] });
    await orders.getOrder(
      {},
      {
        metadata,
        onHeader: (header) => told.push(header.get("x-header"), header.getAll("x-header-bin")),
        onTrailer: (trailer) => told.push(trailer.get("x-trailer")),
      },
    );
    expect(seen).toEqual(["a b", [Buffer.from(bytes), Buffer.alloc(0)]]);
    expect(told).toEqual(["h", [Buffer.from(bytes), Buffer.from(bytes)], "t"]);
    const refused = await rejection(orders.listOrders({}).next());
    expect(refused).toMatchObject({ code: Status.UNIMPLEMENTED, details: "not in this test", headersReceived: false });
  });

  test("with messages of megabytes", async () => {
    const { orders } = await throughProxy({ getOrder: async ({ orderId }) => ({ orderId }) });
    const orderId = "x".repeat(3_500_000);
    expect((await orders.getOrder({ orderId })).orderId === orderId).toBe(true);
  });

  test("many at a time, on one connection", async () => {
    const open = gate();
    let count = 0;
    const { orders, proxy } = await throughProxy({
      async getOrder({ orderId }) {
        count += 1;
        if (count === 500) open.resolve();
        await open.promise;
        return { orderId };
      },
    });
    const ids = Array.from({ length: 500 }, (_, index) => `o-${index}`);
    const answers = await Promise.all(ids.map((orderId) => orders.getOrder({ orderId })));
    expect(answers.map(({ orderId }) => orderId)).toEqual(ids);
    expect((await proxy.seen()).connections.length).toBe(1);
  });

  test("however many are left", async () => {
    const { orders, proxy } = await throughProxy({
      async *watchOrders() {
        for (;;) yield { revision: 1n };
      },
    });
    const leave = async () => {
      for (let call = 0; call < 150; call++) for await (const _ of orders.watchOrders({})) break;
    };
    await Promise.all(Array.from({ length: 10 }, leave));
    const calls = await endedCalls(proxy);
    expect(calls.length).toBe(1_500);
    expect(new Set(calls.map(({ connection, end, resetCode }) => `${connection} ${end} ${resetCode}`))).toEqual(
      new Set(["1 cancelled CANCEL"]),
    );
  });

  test("no faster than the client reads, or the server", async () => {
    const count = { sent: 0, received: 0 };
    const never = gate();
    const { orders } = await throughProxy({
      async *listOrders() {
        for (;;) {
          count.sent += 1;
          yield { orderId: "x".repeat(10_000) };
        }
      },
      async importOrders(requests) {
        for await (const _ of requests) await never.promise;
        return {};
      },
    });
    const { signal } = new AbortController();
    const stream = orders.listOrders({}, { signal })[Symbol.asyncIterator]();
    await stream.next();
    async function* upload() {
      for (;;) {
        count.received += 1;
        yield { order: { customerId: "x".repeat(10_000) } };
      }
    }
    const uploaded = rejection(orders.importOrders(upload()));
    let before = { ...count, sent: 0 };
    while (before.sent < count.sent || before.received < count.received) {
      before = { ...count };
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(count.sent).toBeLessThan(1_000);
    expect(count.received).toBeLessThan(1_000);
    await stream.return?.();
    closeClient(orders);
    never.resolve();
    await uploaded;
  });

  test("so that no cancelled upload looks complete", async () => {
    const child = fork(new URL("../support/upload-server.ts", import.meta.url), { execArgv: process.execArgv });
    onTestFinished(() => void child.kill("SIGKILL"));
    const [port] = await once(child, "message");
    const seen: string[] = [];
    child.on("message", (outcome: string) => seen.push(outcome));
    const proxy = await proxyTo(port);
    const orders = connectOrders(portOf(proxy));
    for (let upload = 0; upload < 50; upload++) {
      const controller = new AbortController();
      async function* requests() {
        yield {};
        await new Promise((resolve) => setTimeout(resolve, 5));
        controller.abort("enough");
        await new Promise(() => {});
      }
      expect(await rejection(orders.importOrders(requests(), { signal: controller.signal }))).toBe("enough");
    }
    const { calls } = await proxy.seen();
    const reached = calls.filter(({ server }) => server === "reached");
    expect(reached.length).toBeGreaterThan(0);
    await vi.waitFor(() => expect(seen.length).toBe(reached.length));
    expect(new Set(seen)).toEqual(new Set(["AbortError"]));
  });
});

/** A server of nothing but HTTP/2, until the test is over. */
async function bareServer(answer: (stream: ServerHttp2Stream, raw: readonly string[]) => void): Promise<number> {
  const server = createServer().on("stream", (stream, _headers, _flags, raw) => {
    stream.on("error", () => {});
    answer(stream, raw);
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => void sessions.add(session));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

function bareClient(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`).on("error", () => {});
  onTestFinished(() => session.destroy());
  return session;
}

/** All that a bare client and a bare server see of one call. */
async function wire(port: number, sent: readonly string[], seen: unknown[]): Promise<unknown[]> {
  const session = bareClient(port);
  const stream = session.request(sent as never, { endStream: true }).on("error", () => {});
  const keep =
    (what: string) =>
    (_headers: unknown, flags: number, raw: readonly string[]): void =>
      void seen.push([what, flags, raw]);
  stream.on("response", keep("headers")).on("trailers", keep("trailers")).resume();
  await new Promise((resolve) => stream.on("close", resolve));
  seen.push(["closed", stream.rstCode]);
  session.destroy();
  return seen;
}

describe("on the wire", () => {
  const request = [":method", "POST", ":path", "/a/B", ":scheme", "http", ":authority", "orders", "te", "trailers"];

  test.each<[string, (stream: ServerHttp2Stream) => void]>([
    [
      "headers, messages and trailers, with keys that are repeated",
      (stream) => {
        const headers = { ":status": 200, "content-type": "application/grpc", "x-a": ["1, 2", "3"], "x-a-bin": "AQ" };
        stream.respond(headers, { waitForTrailers: true });
        stream.on("wantTrailers", () =>
          stream.sendTrailers({ "grpc-status": "0", "x-b": ["1", "2"], "x-b-bin": ["AQ", "Ag"] }),
        );
        stream.end("abc");
      },
    ],
    [
      "trailers alone",
      (stream) => stream.respond({ ":status": 200, "grpc-status": "5", "grpc-message": "%C3%A4" }, { endStream: true }),
    ],
    [
      "an end without trailers",
      (stream) => stream.respond({ ":status": 503 }, { sendDate: false } as never) ?? stream.end("busy"),
    ],
    ["a reset", (stream) => stream.close(7)],
    [
      "a reset after headers and a message",
      (stream) => {
        stream.respond({ ":status": 200, "content-type": "application/grpc" });
        stream.end = () => stream;
        stream.write("abc", () => stream.close(11));
      },
    ],
  ])("%s are what they are without a proxy", async (_what, answer) => {
    let arrived: unknown[] = [];
    const port = await bareServer((stream, raw) => {
      arrived.push(raw);
      answer(stream);
    });
    const sent = [...request, "x-key", "1, 2", "x-key", "3", "x-key-bin", "AAE", "x-key-bin", "/w"];
    const direct = await wire(port, sent, arrived);
    arrived = [];
    const proxied = await wire(portOf(await proxyTo(port)), sent, arrived);
    const withoutDate = (seen: unknown[]) => JSON.stringify(seen).replace(/\w{3}, \d\d \w{3} \d{4} [\d:]+ GMT/g, "now");
    expect(withoutDate(proxied)).toBe(withoutDate(direct));
  });

  test.each([0, 2, 8])("a client's reset arrives with its code %i, and not as an end", async (code) => {
    const seen: string[] = [];
    const closed = gate<number>();
    const port = await bareServer((stream) => {
      stream.on("aborted", () => seen.push("aborted"));
      stream.on("end", () => seen.push(stream.aborted ? "" : "end"));
      stream.on("close", () => closed.resolve(stream.rstCode)).resume();
      stream.respond({ ":status": 200 });
    });
    const session = bareClient(portOf(await proxyTo(port)));
    const stream = session.request({ ":method": "POST", ":path": "/a/B" }).on("error", () => {});
    await once(stream, "response");
    stream.end = () => stream;
    stream.close(code);
    expect(await closed.promise).toBe(code);
    expect(seen.filter(Boolean)).toEqual(["aborted"]);
  });

  test("the server's limits are the client's", async () => {
    const server = createServer({ settings: { maxConcurrentStreams: 3, maxHeaderListSize: 5_000 } });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const proxy = await proxyTo((server.address() as { port: number }).port);
    const [settings] = await once(bareClient(portOf(proxy)), "remoteSettings");
    expect(settings).toMatchObject({ maxConcurrentStreams: 3, maxHeaderListSize: 5_000 });
    await proxy.close();
  });
});

/** Serves orders in a process of its own, until the test is over. */
async function ordersProcess(port: number) {
  const child = fork(new URL("../support/orders-process.ts", import.meta.url), [String(port)], {
    execArgv: process.execArgv,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child, "message");
  return child;
}

describe("a server", () => {
  test("that nobody runs looks like one", async () => {
    const proxy = await proxyTo(await freePort());
    const orders = connectOrders(portOf(proxy));
    const error = await rejection(orders.getOrder({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT", headersReceived: false });
    const { connections, calls } = await proxy.seen();
    expect(connections[0]).toMatchObject({ server: "refused", protocol: undefined });
    expect(connections[0]?.endedAt).toBeDefined();
    expect(calls).toEqual([]);
  });

  test("that is killed takes its clients' connections along, and is back when it is back", async () => {
    const port = await freePort();
    const first = await ordersProcess(port);
    const proxy = await proxyTo(port);
    const orders = connectOrders(portOf(proxy));
    const watched = orders.watchOrders({})[Symbol.asyncIterator]();
    await watched.next();
    first.kill("SIGKILL");
    expect(await rejection(watched.next())).toMatchObject({ code: Status.UNAVAILABLE, reason: "TRANSPORT" });
    await vi.waitFor(async () => expect((await proxy.seen()).connections[0]?.endedAt).toBeDefined());
    expect(await rejection(orders.getOrder({}))).toMatchObject({ code: Status.UNAVAILABLE });
    await ordersProcess(port);
    expect(await orders.getOrder({ orderId: "o-1" }, { waitForReady: true })).toMatchObject({ orderId: "o-1" });
    const { connections, calls } = await proxy.seen();
    expect(connections.map(({ server }) => server)).toEqual(expect.arrayContaining(["reached", "refused", "reached"]));
    expect(calls.map(({ server, end }) => [server, end])).toEqual([
      ["reached", "disconnected"],
      ["answered", "status"],
    ]);
  });

  test("that accepts and says nothing is no server that is ready", async () => {
    const proxy = await proxyTo(await silentServer());
    const socket = connectTcp(portOf(proxy), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    const heard: unknown[] = [];
    socket.on("data", (bytes) => heard.push(bytes));
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    await vi.waitFor(async () => expect((await proxy.seen()).connections).toMatchObject([{ protocol: "http2" }]));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(heard).toEqual([]);
    socket.end();
    await vi.waitFor(async () => expect((await proxy.seen()).connections[0]?.endedAt).toBeDefined());
  });

  test("learns that a client is gone", async () => {
    const left = gate<unknown>();
    const { orders, proxy } = await throughProxy({
      async *watchOrders(_request, { signal }) {
        signal.addEventListener("abort", () => left.resolve(signal.reason));
        yield {};
        await left.promise;
      },
    });
    const session = bareClient(portOf(proxy));
    const stream = session
      .request({
        ":method": "POST",
        ":path": "/shop.orders.v1.OrderService/WatchOrders",
        "content-type": "application/grpc",
      })
      .on("error", () => {});
    stream.end(Buffer.alloc(5));
    await once(stream, "data");
    session.destroy();
    await left.promise;
    expect(await endedCalls(proxy)).toMatchObject([{ server: "reached" }]);
    closeClient(orders);
  });

  test("that drains says goodbye to its clients", async () => {
    const entered = gate();
    const go = gate();
    const { server, port } = await serveOrders({
      async getOrder({ orderId }) {
        entered.resolve();
        await go.promise;
        return { orderId };
      },
    });
    const proxy = await proxyTo(port);
    const session = bareClient(portOf(proxy));
    await once(session, "remoteSettings");
    const goaway = once(session, "goaway");
    const answered = connectOrders(portOf(proxy)).getOrder({ orderId: "o-1" });
    await entered.promise;
    const drained = server.drain({ timeoutMs: 10_000 });
    expect((await goaway)[0]).toBe(0);
    go.resolve();
    expect(await answered).toMatchObject({ orderId: "o-1" });
    expect(await drained).toMatchObject({ abandoned: 0 });
    await vi.waitFor(async () => {
      const { connections } = await proxy.seen();
      expect(connections.filter(({ endedAt }) => endedAt === undefined)).toEqual([]);
    });
  });
});

describe("what was seen", () => {
  test("is on the clock of who asks", async () => {
    const { orders, proxy } = await throughProxy({ getOrder: async () => ({}) });
    const before = performance.now();
    await orders.getOrder({});
    const after = performance.now();
    const { now, connections, calls } = await proxy.seen();
    const [times] = calls.map(({ cameAt, endedAt }) => [connections[0]?.cameAt, cameAt, endedAt, after, now]);
    expect(times).toEqual([before, ...(times ?? [])].toSorted((a, b) => Number(a) - Number(b)).slice(1));
  });

  test("can be forgotten, also what is still open", async () => {
    const go = gate();
    const { orders, proxy } = await throughProxy({
      async getOrder() {
        await go.promise;
        return {};
      },
    });
    const open = orders.getOrder({});
    await vi.waitFor(async () => expect((await proxy.seen()).calls.length).toBe(1));
    await proxy.forget();
    expect(await proxy.seen()).toMatchObject({ connections: [], calls: [] });
    go.resolve();
    await open;
    expect(await proxy.seen()).toMatchObject({ connections: [], calls: [] });
    await orders.getOrder({});
    expect(await proxy.seen()).toMatchObject({ connections: [], calls: [{ connection: 1 }] });
  });
});

describe("the process", () => {
  /** Whether somebody listens there. */
  async function listens({ target }: Pick<FaultProxy, "target">): Promise<boolean> {
    const socket = connectTcp(Number(target.split(":")[1]), "127.0.0.1");
    return await new Promise((resolve) => {
      socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
      onTestFinished(() => void socket.destroy());
    });
  }

  /** The one fault proxy that a process runs. */
  function pidOfProxy(parent: number): number {
    const pids = String(execFileSync("pgrep", ["-P", String(parent), "-f", "fault-proxy/process"]))
      .trim()
      .split("\n");
    expect(pids.length).toBe(1);
    return Number(pids[0]);
  }

  function isAlive(pid: number): boolean {
    // An orphan that nobody has reaped yet is dead.
    const { error, stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
    if (error) throw error;
    return /^[^Z]/.test(stdout.trim());
  }

  test("is gone after close, and so is every connection", async () => {
    const { orders, proxy } = await throughProxy({
      async *watchOrders() {
        yield {};
        await new Promise(() => {});
      },
    });
    const watched = orders.watchOrders({})[Symbol.asyncIterator]();
    await watched.next();
    expect(await listens(proxy)).toBe(true);
    const pid = pidOfProxy(process.pid);
    expect(isAlive(pid)).toBe(true);
    const asked = rejection(proxy.seen());
    const closed = proxy.close();
    // However fast the process is, it answers no more.
    expect(await asked).toEqual(new Error("the fault proxy is closed"));
    await closed;
    expect(isAlive(pid)).toBe(false);
    await vi.waitFor(async () => expect(await listens(proxy)).toBe(false), 10_000);
    expect(await rejection(watched.next())).toMatchObject({ code: Status.UNAVAILABLE });
    for (const late of [proxy.seen(), proxy.script(), proxy.forget()]) {
      expect(await rejection(late)).toEqual(new Error("the fault proxy is closed"));
    }
    await proxy.close();
  });

  test("is gone when its block is left", async () => {
    let left: FaultProxy | undefined;
    {
      await using proxy = await faultProxy("127.0.0.1:9").script();
      left = proxy;
      expect(proxy.seed).toBe(0);
    }
    expect(await listens(left)).toBe(false);
  });

  test("is missed if it is killed", async () => {
    const proxy = await proxyTo(9);
    process.kill(pidOfProxy(process.pid), "SIGKILL");
    expect(await rejection(proxy.seen())).toEqual(new Error("the fault proxy ended with SIGKILL"));
    await proxy.close();
  });

  test("that cannot start says why", async () => {
    vi.stubEnv("NODE_OPTIONS", "--require=./not-there.cjs");
    onTestFinished(() => void vi.unstubAllEnvs());
    const error = await rejection(faultProxy("127.0.0.1:9").script());
    expect(String(error)).toMatch(/^Error: the fault proxy ended with 1: .*Cannot find module '.\/not-there.cjs'/s);
  });

  const program = `
    import { faultProxy } from "bowline/testing";
    const proxy = await faultProxy("127.0.0.1:9").script();
    process.stdout.write(proxy.target);
    if (process.argv[1] === "close") await proxy.close();
  `;

  test.each(["close", "wait"])("never outlives its parent: %s", async (then) => {
    const args = ["--conditions=bowline-source", "--input-type=module", "--eval", program, then];
    const parent = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void parent.kill("SIGKILL"));
    const [target] = await once(parent.stdout, "data");
    if (then === "wait") {
      expect(await listens({ target: String(target) })).toBe(true);
      parent.kill("SIGKILL");
    }
    const [code] = await once(parent, "exit");
    expect(code).toBe(then === "wait" ? null : 0);
    await vi.waitFor(async () => expect(await listens({ target: String(target) })).toBe(false), 10_000);
  });

  const forgetful = `
    import { createClient } from "bowline";
    import { faultProxy } from "bowline/testing";
    import { OrderService } from "./gen/shop/orders/v1/orders.contract.ts";
    const [then, server] = process.argv.slice(1);
    const proxy = await faultProxy(server).script();
    process.stdout.write(proxy.target);
    await new Promise((resolve) => process.stdin.once("data", resolve));
    process.stdin.destroy();
    if (then === "calls") for await (const _ of createClient(OrderService, proxy.target).listOrders({}));
    // Its answer is all that this process has to wait for.
    if (then !== "nothing") process.stdout.write(" " + (await proxy.seen()).calls.length);
  `;

  test.each([
    ["nothing", ""],
    ["seen", " 0"],
    ["calls", " 1"],
  ])("keeps no parent alive that forgets to close it: %s", async (then, told) => {
    const { port } = await serveOrders({ async *listOrders() {} });
    const args = ["--conditions=bowline-source", "--input-type=module", "--eval", forgetful, then, `127.0.0.1:${port}`];
    const parent = spawn(process.execPath, args, { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
    onTestFinished(() => void parent.kill("SIGKILL"));
    let written = "";
    parent.stdout.setEncoding("utf8").on("data", (text: string) => {
      written += text;
    });
    await once(parent.stdout, "data");
    const target = written;
    const pid = pidOfProxy(Number(parent.pid));
    expect(isAlive(pid)).toBe(true);
    expect(await listens({ target })).toBe(true);
    parent.stdin.write("go");
    // Well within the time after which the test would end it.
    const [code] = await once(parent, "close", { signal: AbortSignal.timeout(10_000) });
    expect([code, written]).toEqual([0, target + told]);
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 5_000);
    await vi.waitFor(async () => expect(await listens({ target })).toBe(false), 5_000);
  });
});
