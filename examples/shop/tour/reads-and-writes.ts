import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { createClient } from "bowline";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { Order } from "../../../gen/shop/orders/v1/orders.ts";
import { UserService } from "../../../gen/shop/users/v1/users.contract.ts";
import type { Shop } from "../shop.ts";
import { type Counts, NOTHING } from "./instruments.ts";
import { collect, inParallel } from "./load.ts";
import { type Check, type Row, same } from "./row.ts";
import { Tally } from "./tally.ts";

const ORDERS = 60;
const IMPORTED = 200;
const BASKETS = 50;
const READS = 300;
/** GetOrder has 300 ms: on a busy machine, many at once would wait for each other. */
const AT_ONCE = 4;

/** What the row saw, from both sides. */
export interface Seen {
  readonly calls: number;
  readonly attempts: number;
  readonly succeeded: number;
  /** What the two services saw, the orders service's own calls included. */
  readonly served: Counts;
  /** Orders that were created and read back the same. */
  readonly readBack: number;
  readonly imported: number;
  /** Orders that the new customer has in the end, and their sum in cents. */
  readonly listed: number;
  readonly listedCents: bigint;
  readonly orderedCents: bigint;
  /** Quotes with the right price, in the order of their baskets. */
  readonly quoted: number;
}

/** All four kinds of call, to both services: everything succeeds, and what was written is read back. */
export const readsAndWrites: Row = {
  name: "reads and writes",
  async run(shop) {
    const tally = new Tally();
    const before = await servedBy(shop);
    using users = createClient(UserService, shop.users.target, { observer: tally.observer });
    using orders = createClient(OrderService, shop.orders.target, { observer: tally.observer });

    await collect(users.streamUsers({ limit: 100 }));
    const { userId } = await users.createUser({ name: "Tour Guest", email: `${randomUUID()}@example.com` });
    const { userId: customerId } = await users.getUser({ userId });

    const created = await inParallel(AT_ONCE, ORDERS, (n) => orders.createOrder({ customerId, items: basket(n) }));
    const read = await inParallel(AT_ONCE, ORDERS, (n) => orders.getOrder({ orderId: created[n]?.orderId ?? "" }));
    const { imported, totalCents } = await orders.importOrders(bulk(customerId));
    const listed = await collect(orders.listOrders({ customerId }));
    const quotes = await collect(orders.quoteBaskets(baskets()));
    await inParallel(AT_ONCE, READS, (n) => orders.getOrder({ orderId: `o-${n + 1}` }));

    const { calls, attempts, durationsMs } = tally;
    const seen: Seen = {
      calls,
      attempts,
      succeeded: tally.count("OK"),
      served: difference(await servedBy(shop), before),
      readBack: read.filter((order, n) => isDeepStrictEqual(order, created[n])).length,
      imported,
      listed: listed.length,
      listedCents: sumOf(listed),
      orderedCents: sumOf(created) + totalCents,
      quoted: quotes.filter((quote, n) => quote.totalCents === priceOf(n)).length,
    };
    const policy = `${attempts} attempts for ${calls} calls; ${ORDERS} orders asked the users service on their way`;
    return { calls, attempts, outcome: String(tally), durationsMs, policy, late: 0, checks: judge(seen) };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  const handlers = Object.values(seen.served);
  const started = handlers.reduce((sum, counts) => sum + counts.started, 0);
  const answered = handlers.reduce((sum, counts) => sum + counts.answered, 0);
  return [
    same("calls that succeeded", seen.succeeded, seen.calls),
    same("attempts", seen.attempts, seen.calls),
    // One customer is looked up for each order, and once for the import.
    same("calls that arrived, second hops included", started, seen.calls + ORDERS + 1),
    same("calls that handlers answered", answered, started),
    same("customers looked up on the second hop", (seen.served.GetUser ?? NOTHING).answered, 1 + ORDERS + 1),
    same("created orders that were read back the same", seen.readBack, ORDERS),
    same("imported orders", seen.imported, IMPORTED),
    same("orders listed of the new customer", seen.listed, ORDERS + IMPORTED),
    same("sum of the listed orders in cents", seen.listedCents, seen.orderedCents),
    same("baskets quoted right, in order", seen.quoted, BASKETS),
  ];
}

function basket(n: number) {
  return [
    { sku: "rope-10m", quantity: 1 + (n % 5), unitPriceCents: 1_999n },
    { sku: "cleat", quantity: 2, unitPriceCents: 1_275n },
  ];
}

function priceOf(n: number): bigint {
  return BigInt(1 + (n % 5)) * 1_999n + 2n * 1_275n;
}

async function* bulk(customerId: string) {
  for (let n = 0; n < IMPORTED; n++) yield { order: { customerId, items: basket(n) } };
}

async function* baskets() {
  for (let n = 0; n < BASKETS; n++) yield { items: basket(n) };
}

function sumOf(orders: readonly Order[]): bigint {
  return orders.reduce((sum, { totalCents }) => sum + totalCents, 0n);
}

async function servedBy(shop: Shop): Promise<Counts> {
  const [users, orders] = await Promise.all([shop.users.counts(), shop.orders.counts()]);
  return { ...users, ...orders };
}

function difference(after: Counts, before: Counts): Counts {
  const entries = Object.entries(after).map(([method, counts]) => {
    const { started, answered } = before[method] ?? NOTHING;
    return [method, { ...counts, started: counts.started - started, answered: counts.answered - answered }] as const;
  });
  return Object.fromEntries(entries);
}
