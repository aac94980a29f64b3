// A process that takes uploads, and says of each how it saw it end.
import { createServer } from "bowline/server";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { ordersHandlers } from "./handlers.ts";

const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false }).add(
  OrderService,
  ordersHandlers({
    async importOrders(requests) {
      try {
        for await (const _ of requests);
        process.send?.("complete");
      } catch (error) {
        process.send?.((error as Error).name);
      }
      return {};
    },
  }),
);
process.send?.(await server.listen("127.0.0.1:0"));
process.on("disconnect", () => process.exit(0));
