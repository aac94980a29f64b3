import { Order } from "../gen/shop/orders/v1/orders.ts";

/** What unary calls answer with: an order of five items, about 200 bytes on the wire. */
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

/** What streams carry, by the size on the wire; a request names it as its customer. */
export const streamed = {
  "100 bytes": { message: sized(100), perStream: 10_000 },
  "1 MiB": { message: sized(1024 * 1024), perStream: 40 },
} as const;

/** The size of a stream's messages. */
export type MessageSize = keyof typeof streamed;

/** What a stream carries whose request names this customer. */
export function messageFor(customerId: string): Order {
  return streamed[customerId as MessageSize].message;
}

/** An order of two items that takes so many bytes on the wire. */
function sized(bytes: number): Order {
  const small = { ...order, items: order.items.slice(0, 2) };
  const filled = (length: number) => ({ ...small, customerId: "u".repeat(length) });
  const spare = bytes - Order.encode(filled(bytes)).finish().byteLength;
  const exact = [0, 1, 2, 3].map((more) => filled(bytes + spare + more));
  const fitting = exact.find((message) => Order.encode(message).finish().byteLength === bytes);
  if (!fitting) throw new Error(`no order takes ${bytes} bytes`);
  return fitting;
}
