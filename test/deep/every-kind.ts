// One call of each kind through a client and a server in this process, then a drain under way; prints what came of it.
// Run by node-22.test.ts in a project of its own, under the oldest Node that the package promises.
import { closeClient, createClient, fail, RpcError } from "bowline";
import { createServer } from "bowline/server";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";

const began = Promise.withResolvers<void>();
const released = Promise.withResolvers<void>();
const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false }).add(
  OrderService,
  {
    createOrder: async () => fail("ALREADY_EXISTS", "no such luck"),
    async getOrder({ orderId }) {
      if (orderId === "slow") began.resolve();
      if (orderId !== "o-1") await released.promise;
      return { orderId };
    },
    async *listOrders() {
      for (const orderId of ["o-1", "o-2"]) yield { orderId };
    },
    async *watchOrders(_request, { signal }) {
      yield { revision: 1n };
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
    async importOrders(requests) {
      let imported = 0;
      for await (const _ of requests) imported += 1;
      return { imported };
    },
    async *quoteBaskets(requests) {
      for await (const _ of requests) yield {};
    },
  },
);
const port = await server.listen("127.0.0.1:0");
const orders = createClient(OrderService, `127.0.0.1:${port}`);

async function* two() {
  yield {};
  yield {};
}

function reasonOf(error: unknown): unknown {
  return error instanceof RpcError ? error.reason : error;
}

const unary = await orders.getOrder({ orderId: "o-1" });
const listed = await Array.fromAsync(orders.listOrders({}), ({ orderId }) => orderId);
const { imported } = await orders.importOrders(two());
const quoted = await Array.fromAsync(orders.quoteBaskets(two()));
const refused = await orders.createOrder({}).catch(reasonOf);
const late = await orders.getOrder({ orderId: "late" }, { timeoutMs: 20 }).catch(reasonOf);

const watched = orders.watchOrders({}, { retry: false });
await watched.next();
const slow = orders.getOrder({ orderId: "slow" }, { timeoutMs: 10_000 });
await began.promise;
const drained = server.drain({ timeoutMs: 10_000 });
const ended = await watched.next().catch(reasonOf);
released.resolve();
const finished = await slow;
const { abandoned } = await drained;
closeClient(orders);
const node = process.version;
const seen = { unary: unary.orderId, listed, imported, quoted: quoted.length, refused, late };
console.log(JSON.stringify({ node, ...seen, ended, finished: finished.orderId, abandoned }));
