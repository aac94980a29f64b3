// A process that serves streams without end, as fast as they are read; a request's limit is the size of each message.
// Whenever its parent says something it tells what it holds and has done. Run with --expose-gc.
import { setTimeout } from "node:timers/promises";
import { createServer } from "bowline/server";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { ordersHandlers } from "./handlers.ts";

/** What the process holds and has done. */
export interface FloodState {
  /** On the heap and referred to by it, all garbage collected. */
  readonly bytes: number;
  /** Messages that handlers have yielded. */
  readonly yielded: number;
  /** Handlers that have begun and not cleaned up. */
  readonly running: number;
}

let [yielded, running] = [0, 0];

/** What messages carry, made once: what stands in line for a stream is the server's, not the handler's. */
const texts = new Map<number, string>();

function textOf(bytes: number): string {
  const text = texts.get(bytes) ?? "x".repeat(bytes);
  texts.set(bytes, text);
  return text;
}

async function state(): Promise<FloodState> {
  for (let turn = 0; turn < 3; turn += 1) {
    await setTimeout(20);
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return { bytes: heapUsed + external, yielded, running };
}

const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false }).add(
  OrderService,
  ordersHandlers({
    async *listOrders({ limit }) {
      running += 1;
      try {
        for (;;) {
          yielded += 1;
          yield { orderId: textOf(limit ?? 0) };
        }
      } finally {
        running -= 1;
      }
    },
  }),
);
process.send?.(await server.listen("127.0.0.1:0"));
process.on("message", async () => process.send?.(await state()));
process.on("disconnect", () => process.exit(0));
