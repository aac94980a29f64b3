import { breakersOf, createClient } from "bowline";
import { contract } from "bowline/runtime/v1";
import { type FaultProxy, faultProxy } from "bowline/testing";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../../gen/shop/orders/v1/orders.contract.ts";
import { until } from "./load.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";

/** As many calls as open the breaker, at least. */
const MOST_CALLS = 100;
/** Calls while the breaker is open and the server is back. */
const WHILE_OPEN = 50;
const GET_ORDER = "/shop.orders.v1.OrderService/GetOrder";

/**
 * The orders contract with breakers that stay open for longer than a server takes to start, give or take 20 %, and time
 * for a busy machine: a server that is gone fails at once.
 */
const LongOpen = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  service: { ...OrderService.service, breaker: { ...OrderService.service.breaker, openMs: 8_000 } },
  methods: { ...OrderService.methods, getOrder: { ...OrderService.methods.getOrder, timeoutMs: 5_000 } },
});

/** What the row saw, from both sides. */
export interface Seen {
  readonly calls: number;
  /** How they ended: before the kill, while the server was gone, while the breaker was open, and after that. */
  readonly before: number;
  readonly failed: number;
  readonly rejected: number;
  readonly after: number;
  /** Attempts that came by while the breaker was open, and after that, and the trials that the client made. */
  readonly passedWhileOpen: number;
  readonly passedAfter: number;
  /** Whether the server was back, and could be reached, when the breaker's open time was not over yet. */
  readonly backInTime: boolean;
  /** What the breaker did, in order. */
  readonly states: readonly string[];
}

/** The server is killed: the breaker opens, keeps every call from it, and closes when it is back. */
export const killedServer: Row = {
  name: "a killed server",
  async run(shop) {
    const killed = await shop.startReplica("orders");
    const port = killed.target.split(":")[1] ?? "";
    await using proxy = await faultProxy(killed.target, { seed: 3 }).script();
    const tally = new Tally();
    using orders = createClient(LongOpen, proxy.target, { observer: tally.observer });
    const isOpen = () => {
      // Its state stays "open" after the open time, until a call asks.
      const { state, retryAfterMs = 0 } = breakersOf(orders).snapshot()[GET_ORDER] ?? {};
      return state === "open" && retryAfterMs > 0;
    };

    for (let n = 0; n < 10; n++) await read(orders);
    const before = tally.count("OK");
    await killed.kill();
    for (let n = 0; n < MOST_CALLS && !isOpen(); n++) await read(orders);
    const failed = tally.calls - before;

    const back = await shop.startReplica("orders", { SHOP_ORDERS_PORT: port });
    await reachable(proxy);
    const passed = await attemptsThrough(proxy);
    const earlier = tally.count("UNAVAILABLE", "BREAKER_OPEN");
    const backInTime = isOpen();
    for (let n = 0; n < WHILE_OPEN; n++) await read(orders);
    const rejected = tally.count("UNAVAILABLE", "BREAKER_OPEN") - earlier;
    const passedWhileOpen = (await attemptsThrough(proxy)) - passed;

    await until("the open time is over", () => !isOpen());
    const answered = tally.count("OK");
    await until("the breaker has closed", async () => {
      await read(orders);
      return tally.acted("breaker", "closed") > 0;
    });
    for (let n = 0; n < 10; n++) await read(orders);
    const seen: Seen = {
      calls: tally.calls,
      before,
      failed,
      rejected,
      after: tally.count("OK") - answered,
      passedWhileOpen,
      passedAfter: (await attemptsThrough(proxy)) - passed - passedWhileOpen,
      backInTime,
      states: tally.actions("breaker").filter((action) => action !== "rejected"),
    };
    await back.stop();
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: String(tally),
      durationsMs: tally.durationsMs,
      policy: [
        `the breaker opened after ${failed} calls; of ${WHILE_OPEN} calls while it was open, with the server back,`,
        `${passedWhileOpen} attempts came by; then it ${seen.states.slice(1).join(", ")}`,
      ].join(" "),
      // A server that takes longer to start than the breaker is open shows nothing of it.
      late: backInTime ? tally.count("DEADLINE_EXCEEDED") : 1,
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    same("calls that succeeded before the server was killed", seen.before, 10),
    within("calls until the breaker opened", seen.failed, 1, MOST_CALLS),
    same("the server was back while the breaker was open", String(seen.backInTime), "true"),
    same("calls that were not sent", seen.rejected, WHILE_OPEN),
    same("attempts that came by while it was open", seen.passedWhileOpen, 0),
    same("what the breaker did", seen.states.join(), "opened,half-opened,closed"),
    within("calls that succeeded after that", seen.after, 10),
    same("attempts that came by after that", seen.passedAfter, seen.after),
  ];
}

async function read(orders: OrderServiceClient): Promise<void> {
  await orders.getOrder({ orderId: "o-1" }).catch(() => {});
}

async function attemptsThrough(proxy: FaultProxy): Promise<number> {
  return (await proxy.seen()).calls.filter(({ method }) => method === GET_ORDER).length;
}

/** Waits until the server can be called through the proxy, over a connection that has nothing to do with the breaker. */
async function reachable(proxy: FaultProxy): Promise<void> {
  using other = createClient(OrderService, proxy.target);
  await other.listOrders({ limit: 1 }, { waitForReady: true }).next();
}
