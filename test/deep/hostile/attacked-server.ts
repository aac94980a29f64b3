// A process that serves orders to whoever comes. Whenever its parent says something it tells what it holds. An error
// that nobody catches ends it, as it would in production. Run with --expose-gc.
import { setTimeout } from "node:timers/promises";
import { createServer } from "bowline/server";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { ordersHandlers } from "../../support/handlers.ts";

/** What the process holds. */
export interface VictimState {
  /** On the heap and referred to by it, all garbage collected. */
  readonly bytes: number;
  /** The most that it has taken from the machine so far. */
  readonly peakBytes: number;
  /** Handlers that are running. */
  readonly running: number;
}

const server = createServer({ drainOn: [], idempotency: false, validation: false, onError: () => {} }).add(
  OrderService,
  ordersHandlers({
    getOrder: async ({ orderId }) => ({ orderId }),
    importOrders: async (requests) => {
      let imported = 0;
      for await (const _ of requests) imported += 1;
      return { imported };
    },
    async *listOrders({ limit }) {
      for (let made = 0; made < (limit ?? 0); made += 1) yield { orderId: String(made) };
    },
    async *watchOrders(_, { signal }) {
      yield { order: { orderId: "first" } };
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  }),
);

async function state(): Promise<VictimState> {
  for (let turn = 0; turn < 3; turn += 1) {
    await setTimeout(20);
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { bytes: heapUsed + external, peakBytes, running: server.activeCalls };
}

process.send?.(await server.listen("127.0.0.1:0"));
process.on("message", async () => process.send?.(await state()));
process.on("disconnect", () => process.exit(0));
