import { type OrderItem, OrderStatus } from "../../../gen/shop/orders/v1/orders.ts";
import type { OrderStore } from "./store.ts";

const HOUR_MS = 3_600_000;
const FIRST_ORDER_MS = Date.UTC(2025, 3, 11);

const GOODS: readonly (readonly [sku: string, cents: bigint])[] = [
  ["rope-10m", 1_999n],
  ["shackle", 450n],
  ["cleat", 1_275n],
  ["fender", 3_490n],
  ["anchor-5kg", 8_900n],
  ["compass", 12_900n],
  ["lantern", 2_550n],
];

/** Fills a new shop with 1,000 orders of the users u-1 to u-100; the same ones every time. */
export function seedOrders(store: OrderStore): void {
  for (let n = 0; n < 1_000; n++) {
    const createTime = new Date(FIRST_ORDER_MS + n * HOUR_MS);
    const order = store.insert({ customerId: `u-${((n * 37) % 100) + 1}`, items: itemsOf(n) }, createTime);
    for (const [step, status] of historyOf(n).entries())
      store.setStatus(order, status, new Date(createTime.getTime() + (step + 1) * HOUR_MS));
  }
}

function itemsOf(n: number): OrderItem[] {
  return Array.from({ length: 1 + (n % 3) }, (_, position) => {
    const [sku, unitPriceCents] = GOODS[(n * 5 + position) % GOODS.length] ?? ["rope-10m", 1_999n];
    return { sku, quantity: 1 + ((n + position) % 4), unitPriceCents };
  });
}

/** Of a customer's ten orders, one is still pending, one was cancelled, three are paid and five were shipped. */
function historyOf(n: number): OrderStatus[] {
  const { ORDER_STATUS_PAID, ORDER_STATUS_SHIPPED, ORDER_STATUS_CANCELLED } = OrderStatus;
  const kind = (n + Math.floor(n / 100)) % 10;
  if (kind === 0) return [];
  if (kind === 1) return [ORDER_STATUS_CANCELLED];
  return kind < 5 ? [ORDER_STATUS_PAID] : [ORDER_STATUS_PAID, ORDER_STATUS_SHIPPED];
}
