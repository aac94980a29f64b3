import { randomUUID } from "node:crypto";
import { createClient } from "bowline";
import { contract } from "bowline/runtime/v1";
import { faultProxy } from "bowline/testing";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../../gen/shop/orders/v1/orders.contract.ts";
import { collect, threeOfTen, until } from "./load.ts";
import { newCustomer } from "./new-customer.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";

/** Orders to place, and how many callers place them at a time. */
const ORDERS = 120;
const CALLERS = 6;
const KILLS = 5;
/** As many answers as could be lost at all. */
const MOST_CALLS = 10_000;

/** The orders contract without the breaker, which would keep the callers from a server that is back. */
const Persistent = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  service: { ...OrderService.service, breaker: { disabled: true } },
});

/** What the row saw, from both sides. */
export interface Seen {
  readonly keys: number;
  readonly kills: number;
  /** Calls that came by, and those of them whose answer was lost. */
  readonly passed: number;
  readonly lost: number;
  /** Calls that failed, and were repeated with their key. */
  readonly repeated: number;
  /** Keys that were answered at last, and those whose caller asked once more and was told of the same order. */
  readonly answered: number;
  readonly toldTheSame: number;
  /** Orders that the customer has in the end, and how many different ones the callers were told of. */
  readonly placed: number;
  readonly told: number;
  /** Orders that somebody was told of, and that are there, with what was ordered under the key. */
  readonly found: number;
}

/**
 * Three answers of ten are lost after the work was done, and the server is killed five times while it works. Callers
 * repeat their calls with their keys until they are answered, and each key is one order.
 */
export const lostAnswers: Row = {
  name: "3 of 10 answers lost",
  async run(shop) {
    const customerId = await newCustomer(shop);
    let server = await shop.startReplica("orders");
    const port = server.target.split(":")[1] ?? "";
    await using proxy = await faultProxy(server.target, { seed: 5 }).script({
      ...{ on: "call", fault: "drop", clientSees: "cut", method: "CreateOrder", nth: threeOfTen(MOST_CALLS) },
    });
    const tally = new Tally();
    const answers = new Map<string, string>();
    let kills = 0;
    const kill = async () => {
      for (; kills < KILLS; kills++) {
        const enough = ((kills + 1) * ORDERS) / (KILLS + 2);
        await until("some orders are placed", () => answers.size >= enough);
        await server.kill();
        server = await shop.startReplica("orders", { SHOP_ORDERS_PORT: port });
      }
    };
    let toldTheSame = 0;
    const call = async (caller: number) => {
      // On a connection of its own: a lost answer takes its connection with it, and all that is under way there.
      const alone = { observer: tally.observer, channelOptions: { "grpc.use_local_subchannel_pool": 1 } };
      using orders = createClient(Persistent, proxy.target, alone);
      for (let n = caller; n < ORDERS; n += CALLERS) {
        const request = { customerId, items: [{ sku: `sku-${n}`, quantity: 4, unitPriceCents: 899n }] };
        const options = { idempotencyKey: randomUUID(), waitForReady: true };
        const { orderId } = await persist(() => orders.createOrder(request, options));
        answers.set(`sku-${n}`, orderId);
        const again = await persist(() => orders.createOrder(request, options));
        if (again.orderId === orderId) toldTheSame++;
      }
    };
    await Promise.all([kill(), ...Array.from({ length: CALLERS }, (_, caller) => call(caller))]);
    using direct = createClient(OrderService, shop.orders.target);
    const placed = await collect(direct.listOrders({ customerId }));
    const { calls } = await proxy.seen();
    await server.stop();
    const seen: Seen = {
      keys: ORDERS,
      kills,
      passed: calls.length,
      lost: calls.filter(({ fault }) => fault).length,
      repeated: tally.calls - tally.count("OK"),
      answered: answers.size,
      toldTheSame,
      placed: placed.length,
      told: new Set(answers.values()).size,
      found: placed.filter(({ orderId, items }) => answers.get(items[0]?.sku ?? "") === orderId).length,
    };
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: String(tally),
      durationsMs: tally.durationsMs,
      policy: [
        `${seen.lost} of ${seen.passed} answers were lost and the server was killed ${kills} times;`,
        `${seen.keys} keys became ${seen.placed} orders, and nobody was told of another`,
      ].join(" "),
      // A call that is too late is repeated like any other.
      late: 0,
      checks: judge(seen),
    };
  },
};

/** Makes a call until it is answered. */
async function persist<T>(call: () => Promise<T>): Promise<T> {
  const answers: T[] = [];
  await until("a call is answered", async () => {
    await call().then(
      (answer) => answers.push(answer),
      () => {},
    );
    return answers.length > 0;
  });
  const [answer] = answers;
  if (answer === undefined) throw new Error("a call was answered with nothing");
  return answer;
}

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    same("times that the server was killed", seen.kills, KILLS),
    within("share of the answers that were lost", seen.lost / seen.passed, 0.2, 0.35),
    within("calls that failed and were repeated", seen.repeated, 1),
    same("keys that were answered", seen.answered, seen.keys),
    same("orders placed", seen.placed, seen.keys),
    same("orders that somebody was told of", seen.told, seen.keys),
    same("of them there, with what was ordered", seen.found, seen.keys),
    same("repetitions that were told of the same order", seen.toldTheSame, seen.keys),
  ];
}
