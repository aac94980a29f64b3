import { createClient } from "bowline";
import { contract } from "bowline/runtime/v1";
import { type FaultProxy, faultProxy, type SeenCall } from "bowline/testing";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { ServiceProcess } from "../processes.ts";
import { inParallel, until } from "./load.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { settled } from "./settled.ts";
import { quantile } from "./table.ts";
import { Tally } from "./tally.ts";

const CALLS = 1_000;
const AT_ONCE = 6;
/** One answer of a hundred is held back on its way, by so many milliseconds, and one in the server. */
const LATE_MS = 400;
const EVERY = 100;
const HALFWAY = Array.from({ length: (2 * CALLS) / EVERY }, (_, n) => n * EVERY + EVERY / 2);

/** The orders contract with hedges where it has retries, which are another word on the same method (gRFC A6). */
const Hedged = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  methods: { ...OrderService.methods, getOrder: { timeoutMs: 5_000, hedge: {} } },
});

/** What was seen of the reads that one client made. */
export interface Reads {
  readonly succeeded: number;
  readonly attempts: number;
  /** Hedges that were sent, and losers that were cancelled, as the client said. */
  readonly hedges: number;
  readonly losers: number;
  /** Attempts that came by, and those of them that the client cancelled, with RST_STREAM and CANCEL. */
  readonly passed: number;
  readonly cancelled: number;
  /** Attempts that the server saw. */
  readonly served: number;
  /** Attempts whose answer was late: on its way, and in the server. */
  readonly lateOnTheWay: number;
  readonly lateInServer: number;
  /** Of these: the client left, and the server had not to go on. */
  readonly leftOnTheWay: number;
  readonly leftInServer: number;
}

/** What the row saw, from both sides. */
export interface Seen {
  /** Without hedges. */
  readonly alone: Reads;
  readonly hedged: Reads;
}

/** Two answers of a hundred are late: a second attempt is faster, and the first one is cancelled. */
export const lateAnswers: Row = {
  name: "2 of 100 answers are late",
  async run(shop) {
    const weak = { SHOP_DELAY_MS: String(LATE_MS), SHOP_DELAY_EVERY: String(EVERY) };
    const replica = await shop.startReplica("orders", weak);
    await using proxy = await faultProxy(replica.target, { seed: 6 }).script();
    const [alone, tally] = [new Tally(), new Tally()];
    const seen: Seen = {
      alone: await read(proxy, replica, alone, { retry: false }),
      hedged: await read(proxy, replica, tally, {}),
    };
    await replica.stop();
    return {
      calls: tally.calls,
      attempts: tally.attempts,
      outcome: String(tally),
      durationsMs: tally.durationsMs,
      policy: policyOf(seen, quantile(alone.durationsMs, 0.99)),
      late: alone.count("DEADLINE_EXCEEDED") + unasked(tally, seen.hedged),
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge({ alone, hedged }: Seen): Check[] {
  return [
    same("calls without hedges that succeeded", alone.succeeded, CALLS),
    same("their attempts", alone.attempts, CALLS),
    within("share of them that waited for a late answer", waitedFor(alone) / CALLS, 0.015, 1),
    same("calls with hedges that succeeded", hedged.succeeded, CALLS),
    within("share of them that waited for a late answer, below that of the p99", waitedFor(hedged) / CALLS, 0, 0.01),
    within("attempts beyond their first, as a share of the calls", extraOf(hedged), 0.005, 0.05),
    same("hedges that were sent", hedged.hedges, hedged.attempts - CALLS),
    same("attempts that came by", hedged.passed, hedged.attempts),
    same("attempts that the server saw", hedged.served, hedged.attempts),
    within("attempts that were cancelled on the wire", hedged.cancelled, leftOf(hedged), hedged.losers),
    within("late handlers that the server stopped", hedged.leftInServer, 1),
  ];
}

function policyOf({ alone, hedged }: Seen, p99Alone: string): string {
  const extra = (extraOf(hedged) * 100).toFixed(1);
  return [
    `without hedges the p99 was ${p99Alone} ms, and ${waitedFor(alone)} calls waited for a late answer;`,
    `with ${extra} % more attempts ${waitedFor(hedged)} did, and ${hedged.cancelled} attempts were cancelled on the wire`,
  ].join(" ");
}

/** Calls that were slow though no answer of theirs was held back, and hedges that such calls have used up. */
function unasked(tally: Tally, hedged: Reads): number {
  const slow = tally.durationsMs.filter((durationMs) => durationMs > LATE_MS / 2).length;
  return Math.max(0, slow - waitedFor(hedged)) + tally.acted("hedge", "denied");
}

function leftOf({ leftOnTheWay, leftInServer }: Reads): number {
  return leftOnTheWay + leftInServer;
}

function waitedFor(reads: Reads): number {
  return reads.lateOnTheWay + reads.lateInServer - leftOf(reads);
}

function extraOf({ attempts }: Reads): number {
  return (attempts - CALLS) / CALLS;
}

async function read(
  proxy: FaultProxy,
  replica: ServiceProcess,
  tally: Tally,
  options: { readonly retry?: boolean },
): Promise<Reads> {
  await proxy.script({ on: "call", method: "GetOrder", nth: HALFWAY, fault: "delay", delayMs: LATE_MS });
  await proxy.forget();
  const before = await settled(replica, "GetOrder");
  using orders = createClient(Hedged, proxy.target, { observer: tally.observer });
  await inParallel(AT_ONCE, CALLS, (n) =>
    orders.getOrder({ orderId: `o-${1 + (n % 1_000)}` }, options).catch(() => {}),
  );
  const passed = await passedBy(proxy);
  const served = await settled(replica, "GetOrder");
  const late = passed.filter(({ fault }) => fault);
  const left = ({ end, resetCode }: SeenCall) => end === "cancelled" && resetCode === "CANCEL";
  return {
    succeeded: tally.count("OK"),
    attempts: tally.attempts,
    hedges: tally.acted("hedge", "sent"),
    losers: tally.acted("hedge", "cancelled"),
    passed: passed.length,
    cancelled: passed.filter(left).length,
    served: served.started - before.started,
    lateOnTheWay: late.length,
    leftOnTheWay: late.filter(left).length,
    lateInServer: served.delayed - before.delayed,
    leftInServer: served.leftDelayed - before.leftDelayed,
  };
}

/** What came by, once all of it has ended. */
async function passedBy(proxy: FaultProxy): Promise<readonly SeenCall[]> {
  let passed: readonly SeenCall[] = [];
  await until("every attempt has ended on the wire", async () => {
    passed = (await proxy.seen()).calls;
    return passed.every(({ end }) => end);
  });
  return passed;
}
