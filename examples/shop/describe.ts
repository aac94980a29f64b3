import { ShopIdentity } from "./identity.ts";
import type { Shop } from "./shop.ts";

const ORDER = '{"customer_id": "u-7", "items": [{"sku": "cleat", "quantity": 2, "unit_price_cents": 1275}]}';

/** What is served where, with lines to copy. */
export async function describe(shop: Shop): Promise<string> {
  const orders = shop.orders.target;
  const { settings } = shop;
  const scopes = ["orders.read", "orders.write"];
  const token = settings.auth && (await (await ShopIdentity.open(settings)).token("u-7", "orders", scopes));
  const grpcurl = token ? 'grpcurl -plaintext -H "authorization: Bearer $TOKEN"' : "grpcurl -plaintext";
  const service = "shop.orders.v1.OrderService";
  return [
    "Bowline's example shop, one process for each service:",
    "",
    `  ${orders}  ${service}`,
    `  ${shop.users.target}  shop.users.v1.UserService`,
    "",
    "Both serve health and reflection too. To try, in another terminal:",
    "",
    ...(token ? [`  TOKEN=${token}`] : []),
    `  ${grpcurl} ${orders} list`,
    `  ${grpcurl} ${orders} describe ${service}`,
    `  ${grpcurl} -d '{"order_id": "o-42"}' ${orders} ${service}/GetOrder`,
    `  ${grpcurl} -d '{"customer_id": "u-7"}' ${orders} ${service}/WatchOrders`,
    `  ${grpcurl} -d '${ORDER}' ${orders} ${service}/CreateOrder`,
    `  curl 'http://${shop.orders.admin}/readyz?depth=business&verbose'`,
    `  curl 'http://${shop.users.admin}/readyz?verbose'`,
    "",
  ].join("\n");
}
