import { createClient } from "bowline";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { ServiceProcess } from "../processes.ts";
import type { Shop } from "../shop.ts";
import type { ServedCounts } from "./instruments.ts";
import { collect, inParallel } from "./load.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { settled } from "./settled.ts";
import { Tally } from "./tally.ts";

/** What the contract gives GetOrder, and the row gives CreateOrder. */
const TIMEOUT_MS = 300;
const CALLS = 20;
/** Five at a time: later ones find a connection, whatever the first ones find. */
const AT_ONCE = 5;
const CUSTOMER = "u-1";

/** What the row saw, from both sides. */
export interface Seen {
  readonly calls: number;
  readonly attempts: number;
  /** GetOrder calls to a slow replica that ended with DEADLINE_EXCEEDED, by the client's own clock. */
  readonly directExpired: number;
  /** CreateOrder calls to a replica whose users service is slow that ended with DEADLINE_EXCEEDED. */
  readonly hopExpired: number;
  /** What the slow replica saw of GetOrder. */
  readonly slowOrders: ServedCounts;
  /** What the replica with the slow users service saw of CreateOrder. */
  readonly orders: ServedCounts;
  /** What the slow users service saw of GetUser, two hops down. */
  readonly slowUsers: ServedCounts;
  /** Orders of the customer that were there after and not before. */
  readonly placed: number;
}

/** A replica that is far too slow: the deadline holds, and every process on the way stops working. */
export const slowReplica: Row = {
  name: "a slow replica",
  async run(shop) {
    const slow = { SHOP_DELAY_MS: String(shop.settings.tourSlowMs) };
    const [slowOrders, slowUsers] = await Promise.all([
      shop.startReplica("orders", slow),
      shop.startReplica("users", slow),
    ]);
    const behindSlow = await shop.startReplica("orders", { SHOP_USERS_TARGET: slowUsers.target });
    const before = await ordersPlaced(shop);

    const items = [{ sku: "compass", quantity: 1, unitPriceCents: 12_900n }];
    const order = { customerId: CUSTOMER, items };
    const [direct, hop] = await Promise.all([
      callAll(slowOrders, (orders, n) => orders.getOrder({ orderId: `o-${n + 1}` })),
      callAll(behindSlow, (orders) => orders.createOrder(order, { timeoutMs: TIMEOUT_MS })),
    ]);

    const seen: Seen = {
      calls: direct.calls + hop.calls,
      attempts: direct.attempts + hop.attempts,
      directExpired: direct.count("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
      hopExpired: hop.count("DEADLINE_EXCEEDED"),
      slowOrders: await settled(slowOrders, "GetOrder"),
      orders: await settled(behindSlow, "CreateOrder"),
      slowUsers: await settled(slowUsers, "GetUser"),
      placed: (await ordersPlaced(shop)) - before,
    };
    await Promise.all([slowOrders.stop(), behindSlow.stop()]);
    await slowUsers.stop();
    return {
      calls: seen.calls,
      attempts: seen.attempts,
      outcome: `${direct}; two hops: ${hop}`,
      durationsMs: [...direct.durationsMs, ...hop.durationsMs],
      policy: policyOf(seen),
      late: 0,
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  const { slowOrders, orders, slowUsers } = seen;
  return [
    same("GetOrder calls that ended with DEADLINE_EXCEEDED, reason DEADLINE_EXCEEDED", seen.directExpired, CALLS),
    same("CreateOrder calls that ended with DEADLINE_EXCEEDED", seen.hopExpired, CALLS),
    same("attempts", seen.attempts, seen.calls),
    within("GetOrder calls that the slow replica saw", slowOrders.started, 1, CALLS),
    within("the most time that one of them had, in ms", slowOrders.mostRemainingMs, 0, TIMEOUT_MS),
    same("of them stopped", slowOrders.stopped, slowOrders.started),
    within("CreateOrder calls in front of the slow users service", orders.started, 1, CALLS),
    same("of them answered", orders.answered, 0),
    within("GetUser calls that the slow users service saw", slowUsers.started, 1, CALLS),
    within("the most time that one of them had, in ms", slowUsers.mostRemainingMs, 0, TIMEOUT_MS),
    same("of them stopped", slowUsers.stopped, slowUsers.started),
    same("orders placed", seen.placed, 0),
  ];
}

function policyOf({ slowOrders, slowUsers }: Seen): string {
  return [
    `the deadline of ${TIMEOUT_MS} ms reached ${slowOrders.started} handlers, and ${slowOrders.stopped} stopped;`,
    `two hops down it reached ${slowUsers.started}, and ${slowUsers.stopped} stopped`,
  ].join(" ");
}

type Orders = ReturnType<typeof clientOf>;

function clientOf(replica: ServiceProcess, tally: Tally) {
  return createClient(OrderService, replica.target, { observer: tally.observer });
}

/** Makes the calls, which must not succeed, and counts how they end. */
async function callAll(replica: ServiceProcess, call: (orders: Orders, n: number) => Promise<unknown>): Promise<Tally> {
  const tally = new Tally();
  using orders = clientOf(replica, tally);
  await inParallel(AT_ONCE, CALLS, (n) => call(orders, n).catch(() => {}));
  return tally;
}

async function ordersPlaced(shop: Shop): Promise<number> {
  using orders = createClient(OrderService, shop.orders.target);
  return (await collect(orders.listOrders({ customerId: CUSTOMER }))).length;
}
