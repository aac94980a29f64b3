import { setImmediate } from "node:timers/promises";
import { fail } from "bowline";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { ordersHandlers } from "./handlers.ts";

/** Retries that may be under way at a time: the budget's share of the calls is too small to count. */
export const RETRIES_IN_FLIGHT = 64;

/** Longer than any wait that a server asks for here. */
const PATIENT_MS = 3_600_000;
const retry = { maxAttempts: 3, initialBackoffMs: 1, maxBackoffMs: 2, attemptTimeoutMs: 150 };

/**
 * The orders contract for calls that `faultyHandlers` answer: reads are retried at once, and time enough is left to
 * wait for what a server asks for; ImportOrders' breaker opens and closes all the time, the others never.
 */
export const FaultyOrders = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  service: {
    breaker: { minimumCalls: 1_000_000 },
    retryThrottling: { maxTokens: 1_000, tokenRatio: 5 },
    retryBudget: { ratio: 0.000_001, minInFlight: RETRIES_IN_FLIGHT },
  },
  methods: {
    createOrder: { breaker: { codes: ["DATA_LOSS"] } },
    getOrder: { timeoutMs: PATIENT_MS, retry },
    listOrders: { timeoutMs: PATIENT_MS, retry },
    importOrders: { breaker: { minimumCalls: 20, openMs: 20, maxOpenMs: 40, trials: 2, trialTimeoutMs: 1_000 } },
  },
});

type Context = Parameters<OrderServiceHandlers["getOrder"]>[1];

/** What becomes of a read before its first message, by the name that it is made under. */
const FATES: Readonly<Record<string, (context: Context) => Promise<void> | void>> = {
  well: () => {},
  missing: () => fail("NOT_FOUND", "never heard of it"),
  "down once": (context) => {
    if (isFirst(context)) fail("UNAVAILABLE", "once");
  },
  down: () => fail("UNAVAILABLE", "always"),
  "silent once": async (context) => {
    if (isFirst(context)) await left(context);
  },
  "asked to wait": (context) => {
    if (isFirst(context)) fail("UNAVAILABLE", "in a moment", { pushbackMs: 1 });
  },
  "asked to stay away": () => fail("UNAVAILABLE", "do not come back", { pushbackMs: -1 }),
};

/** Handlers that fail as the request says; `wait 60000` makes the client wait as long before it tries again. */
export const faultyHandlers: OrderServiceHandlers = ordersHandlers({
  async getOrder({ orderId }, context) {
    await meet(orderId, context);
    return { orderId };
  },
  async *listOrders({ customerId }, context) {
    if (customerId !== "breaks off") await meet(customerId, context);
    yield { customerId };
    if (customerId === "breaks off") fail("ABORTED", "half way");
  },
  async createOrder(_request, context) {
    await left(context);
    return {};
  },
  async *watchOrders() {
    for (let revision = 1n; ; revision += 1n) yield { revision };
  },
  async importOrders() {
    await setImmediate();
    return fail("UNAVAILABLE", "always");
  },
});

async function meet(name: string, context: Context): Promise<void> {
  const [, waitMs] = /^wait (\d+)$/.exec(name) ?? [];
  if (waitMs) fail("UNAVAILABLE", "later", { pushbackMs: Number(waitMs) });
  await FATES[name]?.(context);
}

function isFirst({ metadata }: Context): boolean {
  return !metadata.has("grpc-previous-rpc-attempts");
}

async function left({ signal }: Context): Promise<void> {
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
