import type { GetOrderRequest, ListOrdersRequest } from "../../gen/shop/orders/v1/orders.ts";
import { order } from "../message.ts";

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
    for (let sent = 0; sent < request.limit; sent += 1) yield order;
  },
  createOrder: unused,
  importOrders: unused,
  watchOrders: unusedStream,
  quoteBaskets: unusedStream,
};
