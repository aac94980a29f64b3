import { createClient } from "bowline";
import { faultProxy } from "bowline/testing";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { Shop } from "../shop.ts";
import { inParallel, threeOfTen } from "./load.ts";
import { type Check, type Result, type Row, same, within } from "./row.ts";
import { Tally } from "./tally.ts";

/** Which answers fail. */
type Which = { readonly every: number } | { readonly nth: readonly number[] };

const READS = 600;
const AT_ONCE = 4;

/** What a row saw, from both sides. */
export interface Seen {
  readonly calls: number;
  readonly succeeded: number;
  /** As the client made them, and as they came by. */
  readonly attempts: number;
  readonly passed: number;
  /** Attempts that were answered with UNAVAILABLE before they reached the service. */
  readonly failed: number;
  /** Retries that were made, and calls that were denied one by throttle or budget, as the policy said. */
  readonly retried: number;
  readonly denied: number;
  /** Calls whose error has the reason of such a denial. */
  readonly toldDenied: number;
  /** Calls that failed at their last attempt. */
  readonly exhausted: number;
  /** Of the denials: by the throttle. */
  readonly throttled: number;
}

/** One answer of twenty fails: retries make up for it. */
export const fewFailures: Row = {
  name: "1 of 20 answers fails",
  run: async (shop) => report(await read(shop, 1, { every: 20 }), judgeFew),
};

/** Three answers of ten fail: the throttle keeps retries from adding to the trouble. */
export const manyFailures: Row = {
  name: "3 of 10 answers fail",
  run: async (shop) => report(await read(shop, 2, { nth: threeOfTen(2 * READS) }), judgeMany),
};

/** What must have been seen where few answers fail. */
export function judgeFew(seen: Seen): Check[] {
  return [
    within("share of reads that succeeded", seen.succeeded / seen.calls, 0.995, 1),
    within("attempts for each call", seen.attempts / seen.calls, 1, 1.06),
    ...judgeBoth(seen),
  ];
}

/** What must have been seen where many answers fail. */
export function judgeMany(seen: Seen): Check[] {
  return [
    within("retries that the throttle denied", seen.throttled, 1),
    within("attempts for each call", seen.attempts / seen.calls, 1, 1.05),
    ...judgeBoth(seen),
  ];
}

function judgeBoth(seen: Seen): Check[] {
  return [
    within("calls", seen.calls, 500),
    same("attempts that came by", seen.passed, seen.attempts),
    same("attempts beyond each call's first", seen.attempts - seen.calls, seen.retried),
    same("failed attempts that were retried, denied a retry or the last allowed", accounted(seen), seen.failed),
    same("denied calls that say so", seen.toldDenied, seen.denied),
    same("calls that succeeded, were denied or had no attempt left", outcomes(seen), seen.calls),
  ];
}

function accounted({ retried, denied, exhausted }: Seen): number {
  return retried + denied + exhausted;
}

function outcomes({ succeeded, denied, exhausted }: Seen): number {
  return succeeded + denied + exhausted;
}

async function read(shop: Shop, seed: number, which: Which): Promise<{ seen: Seen; tally: Tally }> {
  const rule = { on: "call", method: "GetOrder", fault: "status", code: "UNAVAILABLE", ...which } as const;
  await using proxy = await faultProxy(shop.orders.target, { seed }).script(rule);
  const tally = new Tally();
  using orders = createClient(OrderService, proxy.target, { observer: tally.observer });
  await inParallel(AT_ONCE, READS, (n) => orders.getOrder({ orderId: `o-${n + 1}` }).catch(() => {}));
  const { calls } = await proxy.seen();
  const because = (...stops: string[]) =>
    stops.reduce((sum, stop) => sum + tally.acted("retry", "denied", { because: stop }), 0);
  const seen: Seen = {
    calls: tally.calls,
    succeeded: tally.count("OK"),
    attempts: tally.attempts,
    passed: calls.length,
    failed: calls.filter(({ fault }) => fault).length,
    retried: tally.acted("retry", "scheduled"),
    denied: because("THROTTLED", "BUDGET"),
    toldDenied: tally.count("UNAVAILABLE", "RETRY_THROTTLED") + tally.count("UNAVAILABLE", "RETRY_BUDGET_EXHAUSTED"),
    exhausted: because("MAX_ATTEMPTS"),
    throttled: because("THROTTLED"),
  };
  return { seen, tally };
}

function report({ seen, tally }: { seen: Seen; tally: Tally }, judge: (seen: Seen) => Check[]): Result {
  const { calls, attempts, retried, throttled, denied, failed } = seen;
  const perCall = (attempts / calls).toFixed(3);
  return {
    calls,
    attempts,
    outcome: String(tally),
    durationsMs: tally.durationsMs,
    policy: [
      `${failed} answers failed: ${retried} were retried, the throttle denied ${throttled} a retry,`,
      `the budget ${denied - throttled}; ${perCall} attempts for each call`,
    ].join(" "),
    late: tally.count("DEADLINE_EXCEEDED"),
    checks: judge(seen),
  };
}
