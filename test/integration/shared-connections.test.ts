import { readFileSync } from "node:fs";
import { breakersOf, type ClientOptions, closeClient, createClient } from "bowline";
import { expect, onTestFinished, test } from "vitest";
import { rejection, serveOrders } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";

const [ca, cert, key] = ["ca.pem", "server.pem", "server.key"].map((name) =>
  readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url)),
) as [Buffer, Buffer, Buffer];

/** As docs/limits.md has it. */
const OWN_CONNECTION = { channelOptions: { "grpc.use_local_subchannel_pool": 1 } };

const WATCH = "/shop.orders.v1.OrderService/WatchOrders";
/** The orders contract with heartbeats, and a breaker that opens soon. */
const Watched: typeof PatientOrders = {
  ...PatientOrders,
  service: { breaker: { minimumCalls: 5 } },
  methods: {
    ...PatientOrders.methods,
    watchOrders: {
      resume: { requestField: "after_revision", cursorField: "revision", fromStart: true, initialBackoffMs: 10 },
      heartbeat: { field: "heartbeat", intervalMs: 40 },
    },
  },
};

/** A server of two calls at a time over each connection, with a way to its clients. */
async function serving(contract = PatientOrders) {
  const peers = new Set<string>();
  const asked: string[] = [];
  let told = 0;
  const { server, port } = await serveOrders(
    {
      async getOrder({ orderId = "" }, { peer, signal }) {
        peers.add(peer);
        asked.push(orderId);
        if (orderId === "slow") await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return { orderId };
      },
      async *watchOrders(_request, { signal }) {
        yield { revision: 1n };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    },
    {
      maxStreamsPerConnection: 2,
      observer: ({ type, method }) => {
        if (type === "served.started" && method !== WATCH) told += 1;
      },
    },
    contract,
  );
  const client = (options: ClientOptions = {}, target = `localhost:${port}`) => {
    const orders = createClient(contract, target, options);
    onTestFinished(() => closeClient(orders));
    return orders;
  };
  return { server, port, client, peers, asked, told: () => told };
}

test.each<[string, ClientOptions, number]>([
  ["share one", {}, 1],
  ["share one, whatever their policies", { timeoutMs: 5_000 }, 1],
  ["have one each where they ask for it", OWN_CONNECTION, 2],
  ["have one each where what it is made with differs", { keepaliveTimeMs: 50_000 }, 2],
])("two clients of a target connect over plaintext: they %s", async (_, options, connections) => {
  const { client, peers } = await serving();
  await client().getOrder({});
  await client(options).getOrder({});
  expect(peers.size).toBe(connections);
});

test("two clients of a target that connect over TLS have a connection each", async () => {
  const { server, client, peers } = await serving();
  const port = await server.listen("127.0.0.1:0", { tls: { cert, key } });
  for (const _ of [1, 2]) await client({ tls: { ca } }, `localhost:${port}`).getOrder({});
  expect(peers.size).toBe(2);
});

test("a call for which a connection has no room never comes to the server, and ends like one that is slow", async () => {
  const { client, port, asked, told } = await serving();
  const text = /^Deadline exceeded after [\d.]+s,(.*,)?remote_addr=127\.0\.0\.1:\d+$/;
  const late = { reason: "DEADLINE_EXCEEDED", details: expect.stringMatching(text) };
  const slow = client({}, `127.0.0.1:${port}`).getOrder({ orderId: "slow" }, { timeoutMs: 100 });
  expect(await rejection(slow)).toMatchObject(late);

  const orders = client();
  const watches = [orders.watchOrders({}), orders.watchOrders({})];
  await Promise.all(watches.map((watch) => watch.next()));
  for (const waiting of [orders, client()]) {
    expect(await rejection(waiting.getOrder({ orderId: "waits" }, { timeoutMs: 100 }))).toMatchObject(late);
  }
  expect({ asked, told: told() }).toEqual({ asked: ["slow"], told: 1 });
  await client(OWN_CONNECTION).getOrder({ orderId: "apart" });
  expect({ asked, told: told() }).toEqual({ asked: ["slow", "apart"], told: 2 });
  await Promise.all(watches.map((watch) => watch.return?.()));
});

test("a watch for which there is no room stalls, and opens its breaker", async () => {
  const told: string[] = [];
  const { client } = await serving(Watched);
  const orders = client({ observer: (event) => void (event.type === "policy" && told.push(event.action)) });
  const watches = [orders.watchOrders({}), orders.watchOrders({})];
  await Promise.all(watches.map((watch) => watch.next()));
  const left = new AbortController();
  const waiting = rejection(orders.watchOrders({}, { signal: left.signal }).next());
  await expect.poll(() => breakersOf(orders).snapshot()[WATCH]?.state, { timeout: 10_000 }).toBe("open");
  expect(told.slice(0, 2)).toEqual(["stalled", "scheduled"]);
  expect(await rejection(orders.watchOrders({}).next())).toMatchObject({ reason: "BREAKER_OPEN" });
  left.abort();
  expect(await waiting).toBe(left.signal.reason);
  await Promise.all(watches.map((watch) => watch.return?.()));
});
