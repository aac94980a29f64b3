// Serves orders out of a database in the folder of its first argument, with TLS and without; every 25 ms one is placed
// or an earlier one paid, until its parent is gone. Tells it both ports.
import { readFileSync } from "node:fs";
import { createServer } from "bowline/server";
import { OrderFeed } from "../../../examples/shop/orders/feed.ts";
import { orderHandlers } from "../../../examples/shop/orders/handlers.ts";
import { OrderStore } from "../../../examples/shop/orders/store.ts";
import { type Order, OrderStatus } from "../../../gen/shop/orders/v1/orders.ts";
import { HastyOrders } from "./contract.ts";

const pem = (name: string) => readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url));
const users = { getUser: () => Promise.reject(new Error("nobody asks")) };

const store = new OrderStore(process.argv[2] ?? "");
const server = createServer({
  drainOn: [],
  idempotency: store.idempotency,
  validation: false,
  authenticate: false,
}).add(HastyOrders, orderHandlers(store, new OrderFeed(store), users));
const plain = await server.listen("127.0.0.1:0");
const tls = await server.listen("127.0.0.1:0", { tls: { cert: pem("server.pem"), key: pem("server.key") } });
process.on("disconnect", () => process.exit());
process.send?.({ plain, tls });

const unpaid: Order[] = [];
setInterval(() => {
  if (unpaid.length === 3) return pay(unpaid.splice(1, 1));
  const items = [{ sku: "rope-10m", quantity: 1 + unpaid.length, unitPriceCents: 1_999n }];
  unpaid.push(store.create({ customerId: `u-${1 + unpaid.length}`, items }));
}, 25);

function pay(orders: readonly Order[]): void {
  for (const order of orders) store.setStatus(order, OrderStatus.ORDER_STATUS_PAID, new Date());
  store.changes.emit("change");
}
