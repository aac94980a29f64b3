// A process that serves orders until SIGTERM comes.
import { createServer } from "bowline/server";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { ordersHandlers } from "./handlers.ts";

const server = createServer({ idempotency: false, validation: false, authenticate: false }).add(
  OrderService,
  ordersHandlers({
    async getOrder({ orderId }) {
      process.send?.(0);
      await new Promise((resolve) => setTimeout(resolve, 200));
      return { orderId };
    },
  }),
);
process.send?.(await server.listen("127.0.0.1:0"));
process.channel?.unref();
