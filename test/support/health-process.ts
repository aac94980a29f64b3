// A process that serves orders and an admin port until SIGTERM comes, and then until its call has ended.
import { createServer } from "bowline/server";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { ordersHandlers } from "./handlers.ts";

const server = createServer({ idempotency: false, validation: false, authenticate: false, drainDelayMs: 100 }).add(
  OrderService,
  ordersHandlers({
    async getOrder({ orderId }) {
      process.send?.("slow");
      await new Promise((resolve) => process.once("message", resolve));
      return { orderId };
    },
  }),
);
server.health.check("database", async () => {});
const admin = await server.listenAdmin("127.0.0.1:0");
const port = await server.listen("127.0.0.1:0");
process.send?.({ port, admin });
process.channel?.unref();
