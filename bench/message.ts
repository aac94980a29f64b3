import { type Order, OrderEvent } from "../gen/shop/orders/v1/orders.ts";

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

/** Positions from here on take three bytes on the wire, for two million messages. */
const FIRST_REVISION = 1_000_000n;

/** What streams carry, by the size on the wire; a request names it as its customer. */
export const streamed = {
  "100 bytes": { order: sized(100), perStream: 10_000 },
  "1 MiB": { order: sized(1024 * 1024), perStream: 40 },
} as const;

/** The size of a stream's messages. */
export type MessageSize = keyof typeof streamed;

/** Whether a request names a size, and with it a stream that ends. */
export function isMessageSize(customerId: string): customerId is MessageSize {
  return Object.hasOwn(streamed, customerId);
}

/** The messages of a stream: each at a position of its own, so that it can be resumed. */
export function* messagesOf(size: MessageSize): Generator<OrderEvent> {
  const { order, perStream } = streamed[size];
  for (let sent = 0; sent < perStream; sent += 1) yield eventOf(order, sent);
}

function eventOf(order: Order, sent: number): OrderEvent {
  return { revision: FIRST_REVISION + BigInt(sent), order, eventTime: undefined, heartbeat: false };
}

/** The order of an event that takes so many bytes on the wire. */
function sized(bytes: number): Order {
  const small = { ...order, items: order.items.slice(0, 2) };
  const filled = (length: number) => ({ ...small, customerId: "u".repeat(length) });
  const taken = (message: Order) => OrderEvent.encode(eventOf(message, 0)).finish().byteLength;
  const spare = bytes - taken(filled(bytes));
  const fitting = [0, 1, 2, 3].map((more) => filled(bytes + spare + more)).find((message) => taken(message) === bytes);
  if (!fitting) throw new Error(`no event takes ${bytes} bytes`);
  return fitting;
}
