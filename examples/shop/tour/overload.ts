import { setTimeout as sleep } from "node:timers/promises";
import { createClient, type ServicePolicy } from "bowline";
import { contract } from "bowline/runtime/v1";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { ServiceProcess } from "../processes.ts";
import { inParallel } from "./load.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { settled } from "./settled.ts";
import { Tally } from "./tally.ts";

/** What the server does at a time, how long each takes it, and how many callers make a call in each such time. */
const AT_ONCE = 8;
const WORK_MS = 25;
const CALLERS = 3 * AT_ONCE;
const CALLS_EACH = 20;
/** Above how many attempts for each that is answered throttling keeps nothing from the server; 3 without it. */
const MOST_ATTEMPTS = 2.5;

type Limits = Pick<ServicePolicy, "bulkhead" | "adaptiveLimit" | "throttle">;

/** What was seen of the calls of one client, from both sides. */
export interface Load {
  readonly calls: number;
  readonly succeeded: number;
  /** Calls that the client rejected, by their reason, and calls that it had wait for a turn. */
  readonly full: number;
  readonly overLimit: number;
  readonly throttled: number;
  readonly queued: number;
  readonly attempts: number;
  /** Calls that the server saw, and those of them that it refused because it had too many. */
  readonly started: number;
  readonly refused: number;
  /** The most that the server ever had at a time. */
  readonly mostAtOnce: number;
}

/** What the row saw. */
export interface Seen {
  readonly bulkhead: Load;
  readonly adaptiveLimit: Load;
  readonly throttle: Load;
  readonly unlimited: Load;
}

/** Three times as many calls as the server can take: what it cannot do is not sent. */
export const overload: Row = {
  name: "3 times the load",
  async run(shop) {
    const weak = { SHOP_DELAY_MS: String(WORK_MS), SHOP_AT_ONCE: String(AT_ONCE) };
    const replica = await shop.startReplica("orders", weak);
    const tallies: Tally[] = [];
    const load = (limits: Limits) => {
      const tally = new Tally();
      tallies.push(tally);
      return drive(replica, tally, limits);
    };
    const seen: Seen = {
      bulkhead: await load({ bulkhead: { maxConcurrent: AT_ONCE } }),
      adaptiveLimit: await load({ adaptiveLimit: { initialLimit: AT_ONCE, maxLimit: AT_ONCE } }),
      throttle: await load({ throttle: {} }),
      // Last: what the server tells is the most since it began.
      unlimited: await load({}),
    };
    await replica.stop();
    const sum = (count: (tally: Tally) => number) => tallies.reduce((total, tally) => total + count(tally), 0);
    return {
      calls: sum(({ calls }) => calls),
      attempts: sum(({ attempts }) => attempts),
      outcome: tallies.join("; "),
      durationsMs: tallies.flatMap(({ durationsMs }) => durationsMs),
      policy: policyOf(seen),
      late: sum((tally) => tally.count("DEADLINE_EXCEEDED")),
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge({ bulkhead, adaptiveLimit, throttle, unlimited }: Seen): Check[] {
  return [
    within("calls rejected with BULKHEAD_FULL", bulkhead.full, 1),
    ...judgeLimited("behind a bulkhead", bulkhead, bulkhead.full),
    within("calls rejected with LIMIT_REACHED", adaptiveLimit.overLimit, 1),
    ...judgeLimited("behind a limit", adaptiveLimit, adaptiveLimit.overLimit),
    within("calls rejected with CLIENT_THROTTLED", throttle.throttled, 1),
    same("throttled calls that the server saw", throttle.started, throttle.calls - throttle.throttled),
    within("throttled attempts for each that was answered", throttle.attempts / throttle.succeeded, 1, MOST_ATTEMPTS),
    same("calls without a limit that the server saw", unlimited.started, unlimited.calls),
    within("of them refused by the server", unlimited.refused, 1),
    within("of them at a time", unlimited.mostAtOnce, AT_ONCE + 1),
  ];
}

/** Whatever is let through succeeds; whatever is not is rejected without a wait, and nobody hears of it. */
function judgeLimited(where: string, load: Load, rejected: number): Check[] {
  return [
    same(`calls ${where} that succeeded or were rejected`, load.succeeded + rejected, load.calls),
    same(`calls ${where} that waited`, load.queued, 0),
    same(`attempts ${where}`, load.attempts, load.succeeded),
    same(`calls ${where} that the server saw`, load.started, load.attempts),
    same(`calls ${where} that the server refused`, load.refused, 0),
    within(`calls ${where} at a time`, load.mostAtOnce, 1, AT_ONCE),
  ];
}

function policyOf({ bulkhead, adaptiveLimit, throttle, unlimited }: Seen): string {
  return [
    `of ${unlimited.calls} calls each: bulkhead and limit rejected ${bulkhead.full} and ${adaptiveLimit.overLimit},`,
    `the server never had more than ${adaptiveLimit.mostAtOnce} of the others, and answered them all;`,
    `throttling kept ${throttle.throttled} from it, and it refused ${throttle.refused}; without, it refused ${unlimited.refused}`,
  ].join(" ");
}

/** The orders contract with these limits alone. */
function limited(limits: Limits) {
  return contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
    ...OrderService,
    service: { timeoutMs: 5_000, breaker: { disabled: true }, ...limits },
    methods: {},
  });
}

/** Each caller makes a call in the time that one takes, whatever became of the call before. */
async function drive(replica: ServiceProcess, tally: Tally, limits: Limits): Promise<Load> {
  const before = await settled(replica, "GetOrder");
  using orders = createClient(limited(limits), replica.target, { observer: tally.observer });
  await inParallel(CALLERS, CALLERS * CALLS_EACH, async (n) => {
    const call = orders.getOrder({ orderId: `o-${n + 1}` }).catch(() => {});
    await Promise.all([call, sleep(WORK_MS)]);
  });
  const served = await settled(replica, "GetOrder");
  return {
    calls: tally.calls,
    succeeded: tally.count("OK"),
    full: tally.count("RESOURCE_EXHAUSTED", "BULKHEAD_FULL"),
    overLimit: tally.count("RESOURCE_EXHAUSTED", "LIMIT_REACHED"),
    throttled: tally.count("RESOURCE_EXHAUSTED", "CLIENT_THROTTLED"),
    queued: tally.acted("bulkhead", "queued") + tally.acted("adaptive-limit", "queued"),
    attempts: tally.attempts,
    started: served.started - before.started,
    refused: served.refused - before.refused,
    mostAtOnce: served.mostAtOnce,
  };
}
