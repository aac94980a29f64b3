import { createServer } from "bowline/server";
import { UserService } from "../../../gen/shop/users/v1/users.contract.ts";
import { ShopIdentity } from "../identity.ts";
import { serve } from "../serve.ts";
import { readSettings } from "../settings.ts";
import { Instruments } from "../tour/instruments.ts";
import { userHandlers } from "./handlers.ts";
import { UserStore } from "./store.ts";

const settings = readSettings();
const store = new UserStore(settings.dataFolder);
// For the tour alone: it counts what arrives here. Leave it out of a service of your own.
const instruments = new Instruments(settings);

const identity = settings.auth ? await ShopIdentity.open(settings) : undefined;
const server = createServer({
  use: [instruments.middleware],
  authenticate: identity ? identity.authenticate("users") : false,
});
server.add(UserService, userHandlers(store));
server.health.check("database", () => store.get("u-1"));

await serve(server, settings.users, async () => {
  store.close();
  await instruments.report();
});
