import { createChannel, createClient, createServer } from "nice-grpc";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { handlers } from "./handlers.ts";
import { count, first, type Stack } from "./stack.ts";

/** nice-grpc on both ends, without middleware and without a deadline. */
export const nice: Stack = {
  serve() {
    const server = createServer();
    server.add(OrderServiceDefinition, handlers);
    return server.listen("127.0.0.1:0");
  },
  connect(port) {
    const orders = createClient(OrderServiceDefinition, createChannel(`127.0.0.1:${port}`));
    return {
      unary: () => orders.getOrder({ orderId: "o-000042" }),
      stream: (size) => count(orders.watchOrders({ customerId: size })),
      open: () => first(orders.watchOrders({})),
    };
  },
};
