import { setTimeout as sleep } from "node:timers/promises";
import { fail, type ServicePolicy } from "bowline";
import { contract } from "bowline/runtime/v1";
import { createServer, type ServerOptions } from "bowline/server";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../../gen/shop/orders/v1/orders.contract.ts";

/** The orders contract with these policies of its service, and with retries of GetOrder where they are given. */
export function ordersContract(service: ServicePolicy, retryCodes: readonly "RESOURCE_EXHAUSTED"[] = []) {
  return contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
    ...OrderService,
    service: { timeoutMs: 5_000, ...service },
    methods: retryCodes.length > 0 ? { getOrder: { retry: { maxAttempts: 5, codes: retryCodes } } } : {},
  });
}

/** An orders service that knows one order, and how often it was asked for. */
export interface SmallOrders extends AsyncDisposable {
  readonly target: string;
  /** How many calls came to the handler, and the most that it had at a time. */
  readonly started: () => number;
  readonly mostAtOnce: () => number;
}

/** Serves it in this process, over a socket. @param workMs how long a call takes. */
export async function smallOrders(
  service: ServicePolicy,
  workMs: number,
  options: ServerOptions = {},
): Promise<SmallOrders> {
  const refuse = async () => fail("UNIMPLEMENTED", "this one knows GetOrder alone");
  let [started, running, mostAtOnce] = [0, 0, 0];
  const handlers: OrderServiceHandlers = {
    async getOrder({ orderId = "" }) {
      started += 1;
      running += 1;
      mostAtOnce = Math.max(mostAtOnce, running);
      await sleep(workMs);
      running -= 1;
      return { orderId };
    },
    ...{ createOrder: refuse, importOrders: refuse },
    ...{ listOrders: noStream, watchOrders: noStream, quoteBaskets: noStream },
  };
  const server = createServer({ drainOn: [], validation: false, authenticate: false, ...options }).add(
    ordersContract(service),
    handlers,
  );
  const port = await server.listen("127.0.0.1:0");
  return {
    target: `127.0.0.1:${port}`,
    started: () => started,
    mostAtOnce: () => mostAtOnce,
    [Symbol.asyncDispose]: async () => void (await server.drain({ timeoutMs: 0 })),
  };
}

// biome-ignore lint/correctness/useYield: it refuses before its first message
async function* noStream(): AsyncGenerator<never> {
  fail("UNIMPLEMENTED", "this one knows GetOrder alone");
}
