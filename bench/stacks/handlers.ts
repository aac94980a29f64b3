import type { GetOrderRequest, WatchOrdersRequest } from "../../gen/shop/orders/v1/orders.ts";
import { isMessageSize, messagesOf, order } from "../message.ts";

async function unused(): Promise<never> {
  throw new Error("not part of the benchmark");
}

async function* unusedStream(): AsyncGenerator<never> {
  yield await unused();
}

/** The handlers that every stack but grpc-js itself serves. */
export const handlers = {
  getOrder: async (_request: GetOrderRequest) => order,
  async *watchOrders({ customerId }: WatchOrdersRequest) {
    if (isMessageSize(customerId)) yield* messagesOf(customerId);
    else {
      yield { revision: 1n };
      await new Promise(() => {});
    }
  },
  listOrders: unusedStream,
  createOrder: unused,
  importOrders: unused,
  quoteBaskets: unusedStream,
};
