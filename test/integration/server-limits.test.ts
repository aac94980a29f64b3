import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeClient, createClient, type RpcError, Status } from "bowline";
import { createServer, type ServerOptions } from "bowline/server";
import { expect, onTestFinished, test } from "vitest";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";

const codeOf = async (call: Promise<unknown>) => ((await rejection(call)) as RpcError).code;

/** A client with a connection of its own: grpc-js's clients of one target share theirs. */
const connectApart = (port: number) => connectOrders(port, { channelOptions: { "grpc.use_local_subchannel_pool": 1 } });

/** Handlers that answer at once, and a watch that says one thing and stays. */
function serveQuickly(options: ServerOptions) {
  const peers = new Set<string>();
  return serveOrders(
    {
      async getOrder({ orderId = "" }, { peer }) {
        peers.add(peer);
        return { orderId };
      },
      async *watchOrders(_request, { signal }) {
        yield {};
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    },
    options,
  ).then((served) => ({ ...served, peers }));
}

/** A connection on which nothing is said. */
async function silentConnection(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").resume();
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

test("a message that is too large is refused, and its connection goes on", async () => {
  const { port } = await serveQuickly({ maxReceiveMessageBytes: 100 });
  const orders = connectOrders(port);
  expect(await codeOf(orders.getOrder({ orderId: "x".repeat(200) }))).toBe(Status.RESOURCE_EXHAUSTED);
  expect(await orders.getOrder({ orderId: "a" })).toMatchObject({ orderId: "a" });
});

test.each([
  [{}, 12_000, 17_000],
  [{ maxMetadataBytes: 2_000 }, 1_000, 2_100],
  [{ maxMetadataBytes: 40_000 }, 35_000, 41_000],
])(
  "with %j, %d bytes of metadata are taken, and %d refused; the connection goes on",
  async (options, taken, refused) => {
    const { port } = await serveQuickly(options);
    const orders = connectOrders(port);
    const send = (bytes: number) => orders.getOrder({}, { metadata: { much: "x".repeat(bytes) } });
    await send(taken);
    expect(await codeOf(send(refused))).toBe(Status.RESOURCE_EXHAUSTED);
    await send(1);
  },
);

test("no more calls are open over a connection than may be, and others wait for their turn", async () => {
  const end = gate();
  const { port } = await serveOrders(
    {
      getOrder: async () => ({ orderId: "a" }),
      async *watchOrders() {
        yield {};
        await end.promise;
      },
    },
    { maxStreamsPerConnection: 2 },
  );
  const orders = connectApart(port);
  await orders.getOrder({});
  const watches = [orders.watchOrders({}), orders.watchOrders({})];
  await Promise.all(watches.map((watch) => watch.next()));
  expect(await codeOf(orders.getOrder({}, { timeoutMs: 100 }))).toBe(Status.DEADLINE_EXCEEDED);
  // Another connection has room of its own.
  await connectApart(port).getOrder({});
  const waiting = orders.getOrder({});
  end.resolve();
  expect(await waiting).toMatchObject({ orderId: "a" });
});

test("as many calls as there may be follow one another without a failure", async () => {
  const { port } = await serveQuickly({ maxStreamsPerConnection: 4 });
  const orders = connectApart(port);
  await orders.getOrder({});
  const callers = Array.from({ length: 8 }, async () => {
    for (let n = 0; n < 50; n += 1) await orders.getOrder({});
  });
  await Promise.all(callers);
});

test.each([
  ["at an address", { maxConnections: 2 }],
  ["of a peer", { maxConnectionsPerPeer: 2 }],
])("there are no more connections %s than may be, and those that are there go on", async (_, options) => {
  const { port } = await serveQuickly(options);
  const [one, other, third] = [connectApart(port), connectApart(port), connectApart(port)];
  await Promise.all([one.getOrder({}), other.getOrder({})]);
  expect(await codeOf(third.getOrder({}))).toBe(Status.UNAVAILABLE);
  await Promise.all([one.getOrder({}), other.getOrder({})]);
  closeClient(one);
  await third.getOrder({}, { waitForReady: true });
});

test("clients on a socket file have no address, and are not counted as one peer", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bowline-"));
  const { server } = await serveQuickly({ maxConnectionsPerPeer: 2 });
  const target = `unix:${join(folder, "orders.sock")}`;
  await server.listen(target);
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const clients = Array.from({ length: 4 }, () => {
    const apart = { channelOptions: { "grpc.use_local_subchannel_pool": 1 } };
    const client = createClient(PatientOrders, target, { ...apart, insecure: true });
    onTestFinished(() => closeClient(client));
    return client;
  });
  for (const client of clients) await client.getOrder({});
  const again = clients.map((client) => client.getOrder({ orderId: "a" }));
  expect(await Promise.all(again)).toHaveLength(4);
});

test("a connection over which nothing comes is closed, and so is one without calls; a call then connects anew", async () => {
  const { port, peers } = await serveQuickly({ maxConnectionIdleMs: 100 });
  const orders = connectApart(port);
  const watching = connectApart(port).watchOrders({});
  await Promise.all([orders.getOrder({}), watching.next()]);
  await once(await silentConnection(port), "close");
  // grpc-js looks whether it is idle once in each such time.
  for (let tries = 0; peers.size < 2 && tries < 20; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    await orders.getOrder({}, { waitForReady: true });
  }
  expect(peers.size).toBe(2);
  const next = watching.next();
  expect(await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 150, "quiet"))])).toBe("quiet");
  await watching.return();
});

test("connections that are old are closed in good order: no call fails, and streams stay", async () => {
  const { port, peers } = await serveQuickly({ maxConnectionAgeMs: 100 });
  const orders = connectOrders(port);
  const watch = orders.watchOrders({});
  await watch.next();
  let ended = false;
  const next = watch.next().finally(() => {
    ended = true;
  });
  for (const until = performance.now() + 15_000; peers.size < 3 && performance.now() < until; ) {
    await Promise.all(Array.from({ length: 10 }, () => orders.getOrder({})));
  }
  expect(peers.size).toBeGreaterThanOrEqual(3);
  expect(ended).toBe(false);
  await watch.return();
  await next;
});

test("calls that are under way on an old connection are broken off after their grace", async () => {
  const { port } = await serveQuickly({ maxConnectionAgeMs: 50, maxConnectionAgeGraceMs: 50 });
  const watch = connectOrders(port).watchOrders({});
  await watch.next();
  expect(await codeOf(watch.next())).toBe(Status.UNAVAILABLE);
});

test("a grace and an age beyond what Node's timers take stand for never", async () => {
  const forever = { maxConnectionAgeMs: 50, maxConnectionAgeGraceMs: 2 ** 32, maxConnectionIdleMs: 2 ** 32 };
  for (const options of [forever, { ...forever, maxConnectionAgeMs: 2 ** 31 - 1 }]) {
    const { port } = await serveQuickly(options);
    const watch = connectOrders(port).watchOrders({});
    await watch.next();
    const next = watch.next();
    expect(await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 200, "quiet"))])).toBe("quiet");
    await watch.return();
  }
});

test("everything that is wrong with limits is told at once", () => {
  const options = {
    maxMetadataBytes: 100,
    maxStreamsPerConnection: 0.5,
    maxConnections: -1,
    maxConnectionsPerPeer: "2",
    maxConnectionIdleMs: 0,
    maxConnectionAgeMs: Number.NaN,
    rateLimit: {
      calls: 0,
      burst: 0.5,
      key: "ip",
      methods: { GetOrder: { calls: 1 }, "/a/b": { perMs: 1 } },
      stores: 1,
    },
    shed: { maxConcurrent: 1, adaptive: {}, maxWaitMs: 1 },
  };
  expect(() => createServer(options as unknown as ServerOptions)).toThrow(
    new TypeError(
      `createServer: ${[
        "maxMetadataBytes must be at least 1024; it is 100",
        "maxStreamsPerConnection must be a whole number of at least 1; it is 0.5",
        "maxConnections must be a whole number of at least 1; it is -1",
        'maxConnectionsPerPeer must be a whole number of at least 1; it is "2"',
        "maxConnectionIdleMs must be greater than zero; it is 0",
        "maxConnectionAgeMs must be greater than zero; it is NaN",
        "there is no option rateLimit.stores; there are calls, perMs, burst, key, methods, store",
        "rateLimit.calls must be greater than zero; it is 0",
        "rateLimit.burst must be a whole number of at least 1; it is 0.5",
        'rateLimit.key must be one of identity, peer, method; it is "ip"',
        'rateLimit.methods["GetOrder"] must be a path, such as /package.Service/Method',
        'rateLimit.methods["/a/b"] has no calls: say how many there may be',
        "shed maxConcurrent and adaptive exclude each other: a limit is either fixed or follows the latency",
        "shed.maxWaitMs has no effect, since none may wait: set maxQueued, or leave it out",
      ].join("; ")}`,
    ),
  );
});
