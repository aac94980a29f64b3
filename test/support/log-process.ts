// Serves a log of 300 orders' events on the port of its first argument, a few of them each millisecond, and tells its
// parent when it does.
import { setTimeout } from "node:timers/promises";
import { createServer } from "bowline/server";
import { ordersHandlers } from "./handlers.ts";
import { PatientOrders } from "./patient-orders.ts";

const LAST = 300n;

const server = createServer({ drainOn: [], validation: false, authenticate: false }).add(
  PatientOrders,
  ordersHandlers({
    async *watchOrders({ afterRevision }) {
      for (let revision = afterRevision + 1n; revision <= LAST; revision += 1n) {
        if (revision % 5n === 0n) await setTimeout(1);
        yield { revision };
      }
    },
  }),
);
process.send?.(await server.listen(`127.0.0.1:${process.argv[2]}`));
process.on("disconnect", () => process.exit());
