import { fail } from "bowline";
import type { OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";

/** Handlers of the orders service: those that a test gives, and refusals for the rest. */
export function ordersHandlers(given: Partial<OrderServiceHandlers>): OrderServiceHandlers {
  return {
    createOrder: async () => fail("UNIMPLEMENTED", "not in this test"),
    getOrder: async () => fail("UNIMPLEMENTED", "not in this test"),
    importOrders: async () => fail("UNIMPLEMENTED", "not in this test"),
    // biome-ignore lint/correctness/useYield: it refuses before its first message
    async *listOrders() {
      fail("UNIMPLEMENTED", "not in this test");
    },
    // biome-ignore lint/correctness/useYield: it refuses before its first message
    async *watchOrders() {
      fail("UNIMPLEMENTED", "not in this test");
    },
    // biome-ignore lint/correctness/useYield: it refuses before its first message
    async *quoteBaskets() {
      fail("UNIMPLEMENTED", "not in this test");
    },
    ...given,
  };
}
