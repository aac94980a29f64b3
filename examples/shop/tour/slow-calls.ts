import { createClient } from "bowline";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { inParallel } from "./load.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { settled } from "./settled.ts";
import { Tally } from "./tally.ts";

/** Twice what the contract calls slow for GetOrder, and half of its timeout. */
const DELAY_MS = 150;
const CALLS = 60;
const AT_ONCE = 5;

/** What the row saw, from both sides. */
export interface Seen {
  readonly calls: number;
  readonly answered: number;
  readonly rejected: number;
  readonly attempts: number;
  /** Calls that the replica saw. */
  readonly started: number;
  /** How often the breaker opened, and what it had counted when it first did. */
  readonly opened: number;
  readonly counted: number;
  readonly slow: number;
  readonly failures: number;
}

/** A replica answers everything, too slowly: the share of slow calls opens the breaker. */
export const slowCalls: Row = {
  name: "a replica of slow answers",
  async run(shop) {
    const replica = await shop.startReplica("orders", { SHOP_DELAY_MS: String(DELAY_MS) });
    const tally = new Tally();
    using orders = createClient(OrderService, replica.target, { observer: tally.observer });
    await inParallel(AT_ONCE, CALLS, (n) => orders.getOrder({ orderId: `o-${n + 1}` }).catch(() => {}));
    const opened = tally.details("breaker", "opened");
    const { started } = await settled(replica, "GetOrder");
    const seen: Seen = {
      calls: tally.calls,
      answered: tally.count("OK"),
      rejected: tally.count("UNAVAILABLE", "BREAKER_OPEN"),
      attempts: tally.attempts,
      started,
      opened: opened.length,
      counted: Number(opened[0]?.calls),
      slow: Number(opened[0]?.slow),
      failures: Number(opened[0]?.failures),
    };
    await replica.stop();
    return {
      calls: seen.calls,
      attempts: seen.attempts,
      outcome: String(tally),
      durationsMs: tally.durationsMs,
      policy: `${seen.slow} of ${seen.counted} attempts took longer than 75 ms: the breaker opened, and ${seen.rejected} calls were not sent`,
      late: tally.count("DEADLINE_EXCEEDED"),
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    within("times that the breaker opened", seen.opened, 1),
    within("attempts that it had counted", seen.counted, 20),
    within("share of slow ones", seen.slow / seen.counted, 0.8, 1),
    same("failed ones", seen.failures, 0),
    within("calls that were not sent", seen.rejected, 1),
    same("calls that were answered or not sent", seen.answered + seen.rejected, seen.calls),
    same("calls that the replica saw", seen.started, seen.attempts),
    same("attempts", seen.attempts, seen.answered),
  ];
}
