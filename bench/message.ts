import type { Order } from "../gen/shop/orders/v1/orders.ts";

/** What every stack answers with: an order of five items, about 200 bytes on the wire. */
export const order: Order = {
  orderId: "o-000042",
  customerId: "u-000017",
  status: 2,
  items: Array.from({ length: 5 }, (_, index) => ({
    sku: `sku-${100_000 + index}`,
    quantity: index + 1,
    unitPriceCents: 1_999n + BigInt(index),
  })),
  totalCents: 30_025n,
  createTime: new Date("2026-01-02T03:04:05.678Z"),
};

/** How many messages one stream carries. */
export const STREAM_MESSAGES = 10_000;
