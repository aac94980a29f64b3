import { closeClient, createClient } from "bowline";
import { createServer } from "bowline/server";
import { protovalidate } from "bowline/validate";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { UserService } from "../../../gen/shop/users/v1/users.contract.ts";
import { ShopIdentity } from "../identity.ts";
import { serve } from "../serve.ts";
import { readSettings } from "../settings.ts";
import { Instruments } from "../tour/instruments.ts";
import { OrderFeed } from "./feed.ts";
import { orderHandlers } from "./handlers.ts";
import { OrderStore } from "./store.ts";

const settings = readSettings();
const store = new OrderStore(settings.dataFolder);
const feed = new OrderFeed(store);
const identity = settings.auth ? await ShopIdentity.open(settings) : undefined;
const users = createClient(UserService, settings.usersTarget, {
  ...(identity && { credentials: identity.credentials("orders", "users", ["users.read"]) }),
});
// For the tour alone: it counts what arrives here. Leave it out of a service of your own.
const instruments = new Instruments(settings);

const server = createServer({
  use: [instruments.middleware],
  idempotency: store.idempotency,
  validation: protovalidate(),
  authenticate: identity ? identity.authenticate("orders") : false,
});
server.add(OrderService, orderHandlers(store, feed, users));
// Nothing goes without the database. Without users no order can be placed, but all of them can be read.
server.health.check("database", () => store.lastRevision());
server.health.check("order", () => store.get("o-1") !== undefined, { depth: "business" });
server.health.check("customer", ({ signal }) => users.getUser({ userId: "u-1" }, { signal }), { depth: "business" });

await serve(server, settings.orders, async () => {
  closeClient(users);
  feed.close();
  store.close();
  await instruments.report();
});
