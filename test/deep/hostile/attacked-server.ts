// A process that serves orders to whoever comes. Whenever its parent says something it tells what it holds. An error
// that nobody catches ends it, as it would in production. Its argument is what it is made with, in JSON. Run with
// --expose-gc.
import { setTimeout } from "node:timers/promises";
import { createServer } from "bowline/server";
import { ordersHandlers } from "../../support/handlers.ts";
import { PatientOrders } from "../../support/patient-orders.ts";

/** What the process holds. */
export interface VictimState {
  /** On the heap and referred to by it, all garbage collected. */
  readonly bytes: number;
  /** The most that it has taken from the machine so far. */
  readonly peakBytes: number;
  /** Handlers that are running. */
  readonly running: number;
  /** How many handlers have begun so far, by method. */
  readonly handled: Readonly<Record<"getOrder" | "importOrders" | "watchOrders", number>>;
}

/** The orders contract, for whoever comes. */
const OpenOrders = { ...PatientOrders, methods: { ...PatientOrders.methods, importOrders: {} } };

const handled = { getOrder: 0, importOrders: 0, watchOrders: 0 };
const usual = { drainOn: [], idempotency: false as const, validation: false as const, onError: () => {} };

const server = createServer({ ...usual, ...JSON.parse(process.argv[2] ?? "{}") }).add(
  OpenOrders,
  ordersHandlers({
    getOrder: async ({ orderId }) => {
      handled.getOrder += 1;
      return { orderId };
    },
    importOrders: async (requests) => {
      handled.importOrders += 1;
      let imported = 0;
      for await (const _ of requests) imported += 1;
      return { imported };
    },
    async *listOrders({ limit }) {
      for (let made = 0; made < (limit ?? 0); made += 1) yield { orderId: String(made) };
    },
    async *watchOrders(_, { signal }) {
      handled.watchOrders += 1;
      yield { order: { orderId: "first" } };
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  }),
);

async function state(): Promise<VictimState> {
  for (let turn = 0; turn < 3; turn += 1) {
    await setTimeout(10);
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { bytes: heapUsed + external, peakBytes, running: server.activeCalls, handled: { ...handled } };
}

process.send?.(await server.listen("127.0.0.1:0"));
process.on("message", async () => process.send?.(await state()));
process.on("disconnect", () => process.exit(0));
