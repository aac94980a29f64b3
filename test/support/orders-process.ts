// Serves the orders service on the port of its first argument, 0 for any, and tells its parent which one that is.
import { createServer } from "bowline/server";
import { ordersHandlers } from "./handlers.ts";
import { PatientOrders } from "./patient-orders.ts";

const server = createServer({ drainOn: [], validation: false, authenticate: false }).add(
  PatientOrders,
  ordersHandlers({
    getOrder: async ({ orderId }) => ({ orderId }),
    async *watchOrders(_request, { signal }) {
      yield { revision: 1n };
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  }),
);
process.send?.(await server.listen(`127.0.0.1:${process.argv[2]}`));
process.on("disconnect", () => process.exit());
