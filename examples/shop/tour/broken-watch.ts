import { isDeepStrictEqual } from "node:util";
import { createClient, RpcError } from "bowline";
import { faultProxy } from "bowline/testing";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";

/** In the middle of the first few hundred events. */
const CUT_AFTER_BYTES = 20_000;
/** All that there are after a first start. */
const EVENTS = 1_000;

/** What the row saw, from both sides. */
export interface Seen {
  /** Revisions that came before the cut, in order. */
  readonly revisions: readonly bigint[];
  /** The first ones that are there. */
  readonly expected: readonly bigint[];
  readonly status: string;
  readonly reason: string;
  readonly connections: number;
  readonly attempts: number;
}

/** The connection of a stream is cut in the middle: what came has no gap, and the caller knows where it ended. */
export const brokenWatch: Row = {
  name: "a stream that is cut",
  async run(shop) {
    const cut = { on: "connection", first: 1, fault: "cut", afterBytes: CUT_AFTER_BYTES, towards: "client" } as const;
    await using proxy = await faultProxy(shop.orders.target, { seed: 6 }).script(cut);
    const tally = new Tally();
    using orders = createClient(OrderService, proxy.target, { observer: tally.observer });
    const revisions: bigint[] = [];
    const error = await watch(orders.watchOrders({}), revisions).catch((error: unknown) => error);
    using direct = createClient(OrderService, shop.orders.target);
    const all: bigint[] = [];
    await watch(direct.watchOrders({}), all, revisions.length + 1);
    const seen: Seen = {
      revisions,
      expected: all.slice(0, revisions.length),
      status: error instanceof RpcError ? tally.statuses().join() : String(error),
      reason: error instanceof RpcError ? error.reason : "",
      connections: (await proxy.seen()).connections.length,
      attempts: tally.attempts,
    };
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: `${tally} after revision ${revisions.at(-1)}`,
      durationsMs: tally.durationsMs,
      policy: [
        `${revisions.length} events came, in order and without a gap; then the call ended with ${seen.status},`,
        `and the last revision known is ${revisions.at(-1)}`,
      ].join(" "),
      late: 0,
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    same("the stream ended", `${seen.status} ${seen.reason}`, "UNAVAILABLE TRANSPORT"),
    within("events that came", seen.revisions.length, 1, EVENTS - 1),
    same("they are the first ones, in order", String(isDeepStrictEqual(seen.revisions, seen.expected)), "true"),
    same("attempts", seen.attempts, 1),
    within("connections", seen.connections, 1),
  ];
}

async function watch(
  events: AsyncIterable<{ revision: bigint }>,
  revisions: bigint[],
  most = Number.POSITIVE_INFINITY,
): Promise<undefined> {
  for await (const { revision } of events) {
    revisions.push(revision);
    if (revisions.length >= most) return;
  }
}
