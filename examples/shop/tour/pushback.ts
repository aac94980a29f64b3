import { createClient, RpcError } from "bowline";
import { type FaultProxy, faultProxy } from "bowline/testing";
import { OrderService, type OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";

/** When the server says that it may be asked again. */
const PUSHBACK_MS = 60;
/** Each makes a few calls: more failures in a row would close its throttle. */
const CLIENTS = 4;
const CALLS = 4;

/** What the row saw, from both sides. */
export interface Seen {
  readonly calls: number;
  /** Calls that succeeded though every other attempt was pushed back. */
  readonly succeeded: number;
  /** Attempts that were told to come again after a while, and the shortest while after which one came, in ms. */
  readonly pushedBack: number;
  readonly earliestMs: number;
  /** Calls whose only attempt was told not to come again, and how many attempts came by. */
  readonly forbidden: number;
  readonly attemptsOfForbidden: number;
  /** Of these calls: the error says so. */
  readonly toldForbidden: number;
}

/** The server says when to try again, or not to: it is obeyed. */
export const pushback: Row = {
  name: "pushback",
  async run(shop) {
    await using proxy = await faultProxy(shop.orders.target, { seed: 4 }).script(pushedBack(2, PUSHBACK_MS));
    const tally = new Tally();
    const each = async (work: (orders: OrderServiceClient) => Promise<void>) => {
      for (let client = 0; client < CLIENTS; client++) {
        using orders = createClient(OrderService, proxy.target, { observer: tally.observer });
        for (let n = 0; n < CALLS; n++) await work(orders);
      }
    };
    await each(async (orders) => void (await orders.getOrder({ orderId: "o-1" }).catch(() => {})));
    const succeeded = tally.count("OK");
    const waits = await waitsAfterPushback(proxy);

    await proxy.script(pushedBack(1, -1));
    await proxy.forget();
    const stops: unknown[] = [];
    await each(async (orders) => {
      await orders.getOrder({ orderId: "o-1" }).catch((error) => {
        if (error instanceof RpcError) stops.push(error.retryStop);
      });
    });
    const seen: Seen = {
      calls: tally.calls,
      succeeded,
      pushedBack: waits.length,
      earliestMs: Math.min(...waits),
      forbidden: CLIENTS * CALLS,
      attemptsOfForbidden: (await proxy.seen()).calls.length,
      toldForbidden: stops.filter((stop) => stop === "PUSHBACK").length,
    };
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: String(tally),
      durationsMs: tally.durationsMs,
      policy: [
        `told to wait ${PUSHBACK_MS} ms ${seen.pushedBack} times, the next attempt came after ${seen.earliestMs.toFixed(1)} ms`,
        `at the earliest; told not to retry ${seen.forbidden} times, none came`,
      ].join(" "),
      late: tally.count("DEADLINE_EXCEEDED"),
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    same("calls that succeeded after a pushback", seen.succeeded, CLIENTS * CALLS),
    within("attempts that were pushed back", seen.pushedBack, 1),
    within("milliseconds until the next attempt, at the earliest", seen.earliestMs, PUSHBACK_MS),
    same("attempts of calls that must not be retried", seen.attemptsOfForbidden, seen.forbidden),
    same("of these calls, those that say so", seen.toldForbidden, seen.forbidden),
  ];
}

function pushedBack(every: number, pushbackMs: number) {
  return { on: "call", every, fault: "status", code: "UNAVAILABLE", pushbackMs } as const;
}

/** For each attempt that was pushed back, how long the next one took to come. */
async function waitsAfterPushback(proxy: FaultProxy): Promise<number[]> {
  const { calls } = await proxy.seen();
  return calls.flatMap((call, n) => {
    const next = calls[n + 1];
    return call.fault && next ? [next.cameAt - (call.endedAt ?? Number.NaN)] : [];
  });
}
