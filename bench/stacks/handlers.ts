import type { GetOrderRequest, ListOrdersRequest, WatchOrdersRequest } from "../../gen/shop/orders/v1/orders.ts";
import { messageFor, order } from "../message.ts";

async function unused(): Promise<never> {
  throw new Error("not part of the benchmark");
}

async function* unusedStream(): AsyncGenerator<never> {
  yield await unused();
}

/** The handlers that every stack but grpc-js itself serves. */
export const handlers = {
  getOrder: async (_request: GetOrderRequest) => order,
  async *listOrders(request: ListOrdersRequest) {
    const message = messageFor(request.customerId);
    for (let sent = 0; sent < request.limit; sent += 1) yield message;
  },
  async *watchOrders(_request: WatchOrdersRequest) {
    yield { revision: 1n };
    await new Promise(() => {});
  },
  createOrder: unused,
  importOrders: unused,
  quoteBaskets: unusedStream,
};
