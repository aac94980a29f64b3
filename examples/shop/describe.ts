import type { Shop } from "./shop.ts";

const ORDER = '{"customer_id": "u-7", "items": [{"sku": "cleat", "quantity": 2, "unit_price_cents": 1275}]}';

/** What is served where, with lines to copy. */
export function describe(shop: Shop): string {
  const orders = shop.orders.target;
  const service = "shop.orders.v1.OrderService";
  return [
    "Bowline's example shop, one process for each service:",
    "",
    `  ${orders}  ${service}`,
    `  ${shop.users.target}  shop.users.v1.UserService`,
    "",
    "Both serve health and reflection too. To try, in another terminal:",
    "",
    `  grpcurl -plaintext ${orders} list`,
    `  grpcurl -plaintext ${orders} describe ${service}`,
    `  grpcurl -plaintext -d '{"order_id": "o-42"}' ${orders} ${service}/GetOrder`,
    `  grpcurl -plaintext -d '{"customer_id": "u-7"}' ${orders} ${service}/WatchOrders`,
    `  grpcurl -plaintext -d '${ORDER}' ${orders} ${service}/CreateOrder`,
    `  curl 'http://${shop.orders.admin}/readyz?depth=business&verbose'`,
    `  curl 'http://${shop.users.admin}/readyz?verbose'`,
    "",
  ].join("\n");
}
