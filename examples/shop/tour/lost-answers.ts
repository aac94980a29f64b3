import { createClient } from "bowline";
import { faultProxy } from "bowline/testing";
import { OrderService, type OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { collect, threeOfTen } from "./load.ts";
import { newCustomer } from "./new-customer.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";

/** Orders to place, and reads to compare with. */
const CALLS = 100;
const READS = 10;

/** What the row saw, from both sides. */
export interface Seen {
  readonly calls: number;
  readonly attempts: number;
  readonly passed: number;
  readonly succeeded: number;
  /** Calls that ended with UNAVAILABLE, a status that is retried where the contract has a retry. */
  readonly unavailable: number;
  /** Answers that were lost on their way. */
  readonly lost: number;
  /** Orders that the customer has in the end. */
  readonly placed: number;
  /** The same of GetOrder, which the contract has retried. */
  readonly reads: number;
  readonly readAttempts: number;
  readonly readsPassed: number;
  readonly readsSucceeded: number;
  readonly readsLost: number;
}

/**
 * Three answers of ten are lost after the work was done. An order may not be placed again, and nobody knows of it; a
 * read that loses its answers in the same way is simply made again.
 */
export const lostAnswers: Row = {
  name: "3 of 10 answers lost",
  async run(shop) {
    const customerId = await newCustomer(shop);
    const lose = { on: "call", fault: "drop", clientSees: "cut" } as const;
    await using proxy = await faultProxy(shop.orders.target, { seed: 5 }).script(
      { ...lose, method: "CreateOrder", nth: threeOfTen(CALLS) },
      { ...lose, method: "GetOrder", nth: threeOfTen(READS) },
    );
    const items = [{ sku: "shackle", quantity: 4, unitPriceCents: 899n }];
    const writes = await oneByOne(proxy.target, CALLS, (orders) => orders.createOrder({ customerId, items }));
    const reads = await oneByOne(proxy.target, READS, (orders, n) => orders.getOrder({ orderId: `o-${n}` }));
    const { calls } = await proxy.seen();
    const came = (method: string) => calls.filter((call) => call.method.endsWith(`/${method}`));
    const lost = (method: string) => came(method).filter(({ fault }) => fault).length;
    using direct = createClient(OrderService, shop.orders.target);
    const seen: Seen = {
      calls: writes.calls,
      attempts: writes.attempts,
      passed: came("CreateOrder").length,
      succeeded: writes.count("OK"),
      unavailable: writes.count("UNAVAILABLE"),
      lost: lost("CreateOrder"),
      placed: (await collect(direct.listOrders({ customerId }))).length,
      reads: reads.calls,
      readAttempts: reads.attempts,
      readsPassed: came("GetOrder").length,
      readsSucceeded: reads.count("OK"),
      readsLost: lost("GetOrder"),
    };
    return {
      calls: seen.calls + seen.reads,
      attempts: seen.attempts + seen.readAttempts,
      outcome: `${writes}; reads: ${reads}`,
      durationsMs: [...writes.durationsMs, ...reads.durationsMs],
      policy: [
        `CreateOrder is not safe to repeat, so nothing was retried: ${seen.placed} orders are placed,`,
        `and of ${seen.placed - seen.succeeded} nobody was told; GetOrder is, so ${seen.readsLost} lost answers`,
        `of ${seen.reads} took ${seen.readAttempts - seen.reads} more attempts`,
      ].join(" "),
      late: writes.count("DEADLINE_EXCEEDED") + reads.count("DEADLINE_EXCEEDED"),
      checks: judge(seen),
    };
  },
};

/** Makes the calls one after the other: a lost answer takes its connection with it, and all that is under way there. */
async function oneByOne(
  target: string,
  count: number,
  call: (orders: OrderServiceClient, n: number) => Promise<unknown>,
): Promise<Tally> {
  const tally = new Tally();
  using orders = createClient(OrderService, target, { observer: tally.observer });
  for (let n = 1; n <= count; n++) await call(orders, n).catch(() => {});
  return tally;
}

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    same("attempts", seen.attempts, seen.calls),
    same("attempts that came by", seen.passed, seen.calls),
    within("share of the answers that were lost", seen.lost / seen.calls, 0.25, 0.35),
    same("calls that ended with UNAVAILABLE", seen.unavailable, seen.lost),
    same("calls that succeeded", seen.succeeded, seen.calls - seen.lost),
    same("orders placed", seen.placed, seen.calls),
    same("reads whose answer was lost", seen.readsLost, 3),
    same("reads that succeeded", seen.readsSucceeded, seen.reads),
    same("attempts of the reads", seen.readAttempts, seen.reads + seen.readsLost),
    same("attempts of the reads that came by", seen.readsPassed, seen.readAttempts),
  ];
}
