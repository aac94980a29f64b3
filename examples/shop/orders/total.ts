import type { OrderItem } from "../../../gen/shop/orders/v1/orders.ts";

/** What items cost together, in cents. */
export function totalOf(items: readonly OrderItem[]): bigint {
  return items.reduce((sum, { quantity, unitPriceCents }) => sum + BigInt(quantity) * unitPriceCents, 0n);
}
