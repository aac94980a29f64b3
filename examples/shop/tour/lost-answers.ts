import { createClient } from "bowline";
import { faultProxy } from "bowline/testing";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { collect, inParallel, threeOfTen } from "./load.ts";
import { newCustomer } from "./new-customer.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";

const CALLS = 100;
const AT_ONCE = 4;

/** What the row saw, from both sides. */
export interface Seen {
  readonly calls: number;
  readonly attempts: number;
  readonly passed: number;
  readonly succeeded: number;
  /** Answers that were lost on their way. */
  readonly lost: number;
  /** Orders that the customer has in the end. */
  readonly placed: number;
}

/** Three answers of ten are lost after the order is placed: nobody may repeat it, and nobody knows of it. */
export const lostAnswers: Row = {
  name: "3 of 10 answers lost",
  async run(shop) {
    const customerId = await newCustomer(shop);
    await using proxy = await faultProxy(shop.orders.target, { seed: 5 }).script({
      on: "call",
      method: "CreateOrder",
      nth: threeOfTen(CALLS),
      fault: "drop",
    });
    const tally = new Tally();
    using orders = createClient(OrderService, proxy.target, { observer: tally.observer });
    const items = [{ sku: "shackle", quantity: 4, unitPriceCents: 899n }];
    await inParallel(AT_ONCE, CALLS, () => orders.createOrder({ customerId, items }).catch(() => {}));
    const { calls } = await proxy.seen();
    using direct = createClient(OrderService, shop.orders.target);
    const seen: Seen = {
      calls: tally.calls,
      attempts: tally.attempts,
      passed: calls.length,
      succeeded: tally.count("OK"),
      lost: calls.filter(({ fault }) => fault).length,
      placed: (await collect(direct.listOrders({ customerId }))).length,
    };
    return {
      calls: seen.calls,
      attempts: seen.attempts,
      outcome: String(tally),
      durationsMs: tally.durationsMs,
      policy: [
        `CreateOrder is not safe to repeat, so nothing was retried: ${seen.placed} orders are placed,`,
        `and of ${seen.placed - seen.succeeded} nobody was told`,
      ].join(" "),
      late: tally.count("DEADLINE_EXCEEDED"),
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    same("attempts", seen.attempts, seen.calls),
    same("attempts that came by", seen.passed, seen.calls),
    within("share of the answers that were lost", seen.lost / seen.calls, 0.25, 0.35),
    same("calls that failed", seen.calls - seen.succeeded, seen.lost),
    same("orders placed", seen.placed, seen.calls),
  ];
}
