import { clientMiddleware } from "bowline";
import { deadlineInterceptor, serverMiddleware } from "bowline/server";
import { createChannel, createClientFactory, createServer } from "nice-grpc";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { handlers } from "./handlers.ts";
import { count, first, type Stack } from "./stack.ts";

/** nice-grpc on both ends, with the policies of the contract as one middleware each. */
export const middleware: Stack = {
  serve() {
    const server = createServer({ interceptors: [deadlineInterceptor] }).use(
      serverMiddleware(OrderService, { idempotency: false, validation: false, authenticate: false }),
    );
    server.add(OrderService.definition, handlers);
    return server.listen("127.0.0.1:0");
  },
  connect(port) {
    const orders = createClientFactory()
      .use(clientMiddleware(OrderService))
      .create(OrderService.definition, createChannel(`127.0.0.1:${port}`));
    return {
      unary: () => orders.getOrder({ orderId: "o-000042" }),
      stream: (size) => count(orders.watchOrders({ customerId: size })),
      open: () => first(orders.watchOrders({})),
    };
  },
};
