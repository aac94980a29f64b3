// A process that serves streams without end: ListOrders as fast as it is read, where a request's limit is the size of
// each message, and WatchOrders out of one broadcast, with heartbeats, where the size is the process's argument.
// Whenever its parent says something it tells what it holds and has done. Run with --expose-gc.
import { setTimeout } from "node:timers/promises";
import { createServer } from "bowline/server";
import { createBroadcast } from "bowline/stream";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderEvent } from "../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../src/contract/contract.ts";
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

const Beating = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  methods: { watchOrders: { heartbeat: { field: "heartbeat", intervalMs: 50 } } },
});

const events = createBroadcast<OrderEvent, bigint>({
  cursorOf: ({ revision }) => revision,
  ...{ history: 200, maxLagMessages: 200, onLag: "drop-oldest" },
});

let revision = 0n;

function publish(): void {
  revision += 1n;
  events.publish(OrderEvent.create({ revision, order: { orderId: textOf(Number(process.argv[2])) } }));
}

/** From the first subscription on, whether anybody reads or not. */
function publishOn(): void {
  if (revision > 0n) return;
  publish();
  setInterval(publish, 5);
}

const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false }).add(
  Beating,
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
    async *watchOrders(_request, { signal }) {
      running += 1;
      try {
        const subscription = events.subscribe({ signal });
        publishOn();
        for await (const event of subscription) {
          yielded += 1;
          yield event;
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
