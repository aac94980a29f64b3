import { createClient } from "bowline";
import { createServer } from "bowline/server";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { handlers } from "./handlers.ts";
import { count, first, type Stack } from "./stack.ts";

/** `createClient` and `createServer`, with the policies of the contract. */
export const bowline: Stack = {
  serve() {
    return createServer({ idempotency: false, validation: false, authenticate: false, maxStreamsPerConnection: 10_000 })
      .add(OrderService, handlers)
      .listen("127.0.0.1:0");
  },
  connect(port) {
    const orders = createClient(OrderService, `127.0.0.1:${port}`);
    return {
      unary: () => orders.getOrder({ orderId: "o-000042" }),
      stream: (size) => count(orders.watchOrders({ customerId: size })),
      open: () => first(orders.watchOrders({})),
    };
  },
};
