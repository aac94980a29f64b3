// Makes many calls of every kind and outcome through one client and one server in this process, and reports what is
// left of them. Run with --expose-gc.
import { getEventListeners } from "node:events";
import { clientMiddleware, createClient, fail } from "bowline";
import { createServer } from "bowline/server";
import { createChannel, createClientFactory } from "nice-grpc";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { ordersHandlers } from "../support/handlers.ts";

const [way, calls] = process.argv.slice(2);
const server = createServer({ drainOn: [] }).add(
  OrderService,
  ordersHandlers({
    getOrder: async ({ orderId }) => ({ orderId }),
    async createOrder(_request, { signal }) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      return {};
    },
    async *watchOrders() {
      for (let revision = 1n; ; revision += 1n) yield { revision };
    },
    async *listOrders() {
      yield {};
      fail("ABORTED", "half way");
    },
  }),
);
const port = await server.listen("127.0.0.1:0");
const orders = connect();
const shared = new AbortController();

function connect(): OrderServiceClient {
  if (way === "createClient") return createClient(OrderService, `127.0.0.1:${port}`);
  const factory = createClientFactory().use(clientMiddleware(OrderService));
  return factory.create(OrderService.definition, createChannel(`127.0.0.1:${port}`)) as unknown as OrderServiceClient;
}

/** One call of each outcome: answered, refused, cancelled, too late, left, failed in the middle. */
async function round(): Promise<void> {
  const signal = shared.signal;
  await orders.getOrder({ orderId: "o-1" }, { signal });
  await orders.importOrders((async function* () {})(), { signal }).catch(() => {});
  const controller = new AbortController();
  const cancelled = orders.createOrder({}, { signal: controller.signal }).catch(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort();
  await cancelled;
  await orders.createOrder({}, { signal, timeoutMs: 2 }).catch(() => {});
  for await (const _ of orders.watchOrders({}, { signal })) break;
  await Array.fromAsync(orders.listOrders({}, { signal })).catch(() => {});
}

async function rounds(count: number): Promise<void> {
  const loop = async () => {
    for (let done = 0; done < count / 8; done += 1) await round();
  };
  await Promise.all(Array.from({ length: 8 }, loop));
}

async function heapBytes(): Promise<number> {
  for (let turn = 0; turn < 5; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    globalThis.gc?.();
  }
  return process.memoryUsage().heapUsed;
}

const CALLS_PER_ROUND = 6;
// The first leg warms up: code is compiled, tables grow, and some of it is given back again.
await rounds(Number(calls) / CALLS_PER_ROUND);
const before = await heapBytes();
await rounds(Number(calls) / CALLS_PER_ROUND);
const after = await heapBytes();
process.send?.({
  bytesPerCall: (after - before) / Number(calls),
  listeners: getEventListeners(shared.signal, "abort").length,
  activeCalls: server.activeCalls,
  timers: process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length,
});
process.disconnect();
process.exit(0);
