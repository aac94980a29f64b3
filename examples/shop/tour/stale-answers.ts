import { isDeepStrictEqual } from "node:util";
import { type CachedAnswer, createClient, RpcError, Status } from "bowline";
import { contract } from "bowline/runtime/v1";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../../gen/shop/orders/v1/orders.contract.ts";
import { Order } from "../../../gen/shop/orders/v1/orders.ts";
import { NOTHING } from "./instruments.ts";
import { inParallel, until } from "./load.ts";
import { type Check, type Row, same } from "./row.ts";
import { Tally } from "./tally.ts";

/** Orders that are read before the server is killed, and others that are not. */
const ORDERS = 40;
const KNOWN = Array.from({ length: ORDERS }, (_, n) => `o-${1 + n}`);
const UNKNOWN = Array.from({ length: ORDERS }, (_, n) => `o-${101 + n}`);
const AT_ONCE = 4;
/** How long an answer is fresh, in milliseconds. */
const TTL_MS = 200;

/** The orders contract with a cache where it has retries, and without the breaker, which would keep the reads away. */
const Cached = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  methods: {
    ...OrderService.methods,
    getOrder: { timeoutMs: 5_000, breaker: { disabled: true }, cache: { ttlMs: TTL_MS, staleIfErrorMs: 600_000 } },
  },
});

/** What the row saw, from both sides. */
export interface Seen {
  /** Orders that were read while the server was there, and answered by it. */
  readonly read: number;
  readonly servedBefore: number;
  /** The same, read when it was gone: those that came as before, marked as stale, in place of UNAVAILABLE. */
  readonly stale: number;
  /** Others, read when it was gone: those that failed with UNAVAILABLE and, of another client, had its fallback. */
  readonly unavailable: number;
  readonly substituted: number;
  /** Both, read when it was back: those that did not come out of the cache, and were answered by it. */
  readonly again: number;
  readonly servedAfter: number;
}

/** The server is killed: what was read before is answered from the cache, and says so. */
export const staleAnswers: Row = {
  name: "a killed server, cached",
  async run(shop) {
    const killed = await shop.startReplica("orders");
    const port = killed.target.split(":")[1] ?? "";
    const tally = new Tally("GetOrder");
    using orders = createClient(Cached, killed.target, { observer: tally.observer });
    using patient = createClient(Cached, killed.target, {
      observer: tally.observer,
      fallback: { getOrder: ({ orderId = "" }, { reason }) => Order.fromPartial({ orderId, customerId: reason }) },
    });

    const known = await readAll(orders, KNOWN);
    const servedBefore = ((await killed.counts()).GetOrder ?? NOTHING).answered;
    const readAt = performance.now();
    await until("no answer is fresh any more", () => performance.now() - readAt > TTL_MS);
    await killed.kill();

    const standIns = await readAll(orders, KNOWN);
    const failures = await readAll(orders, UNKNOWN);
    const substitutes = await readAll(patient, UNKNOWN);

    const back = await shop.startReplica("orders", { SHOP_ORDERS_PORT: port });
    await orders.listOrders({ limit: 1 }, { waitForReady: true }).next();
    const after = await readAll(orders, [...KNOWN, ...UNKNOWN]);
    const servedAfter = ((await back.counts()).GetOrder ?? NOTHING).answered;
    await back.stop();
    const seen: Seen = {
      read: known.filter(isFresh).length,
      servedBefore,
      stale: standIns.filter((one, n) => isStandIn(one) && isDeepStrictEqual(one.order, known[n]?.order)).length,
      unavailable: failures.filter(({ error }) => error?.code === Status.UNAVAILABLE).length,
      substituted: substitutes.filter(({ order }, n) => order?.orderId === UNKNOWN[n] && order?.items.length === 0)
        .length,
      again: after.filter(isFresh).length,
      servedAfter,
    };
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: String(tally),
      durationsMs: tally.durationsMs,
      policy: [
        `while the server was gone, ${seen.stale} of ${ORDERS} orders came out of the cache, marked as stale;`,
        `of ${ORDERS} that were not there ${seen.unavailable} failed, and with a fallback ${seen.substituted} had its answer`,
      ].join(" "),
      late: tally.count("DEADLINE_EXCEEDED"),
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    same("orders read before the server was killed", seen.read, ORDERS),
    same("of them answered by the server", seen.servedBefore, ORDERS),
    same("of them given while it was gone, the same and marked as stale", seen.stale, ORDERS),
    same("other orders that failed with UNAVAILABLE", seen.unavailable, ORDERS),
    same("other orders that the fallback answered", seen.substituted, ORDERS),
    same("orders read fresh when the server was back", seen.again, 2 * ORDERS),
    same("of them answered by the server", seen.servedAfter, 2 * ORDERS),
  ];
}

/** What became of one read. */
interface Answer {
  readonly order?: Order;
  readonly error?: RpcError;
  /** What was said of it, if it came out of the cache. */
  readonly cached?: CachedAnswer;
}

function readAll(orders: OrderServiceClient, orderIds: readonly string[]): Promise<Answer[]> {
  return inParallel(AT_ONCE, orderIds.length, async (n): Promise<Answer> => {
    const told: { cached?: CachedAnswer } = {};
    const onCached = (cached: CachedAnswer) => void Object.assign(told, { cached });
    try {
      return { order: await orders.getOrder({ orderId: orderIds[n] ?? "" }, { onCached }), ...told };
    } catch (error) {
      return { error: RpcError.from(error) };
    }
  });
}

/** Whether the server has answered. */
function isFresh({ order, cached }: Answer): boolean {
  return order !== undefined && cached === undefined;
}

/** Whether it was marked as a stale one that stands in for a call that failed because the server is gone. */
function isStandIn({ cached }: Answer): boolean {
  return cached?.stale === true && cached.error?.code === Status.UNAVAILABLE && cached.ageMs >= TTL_MS;
}
