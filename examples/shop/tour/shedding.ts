import { setTimeout as sleep } from "node:timers/promises";
import { type Criticality, createClient, type ServicePolicy } from "bowline";
import { inParallel } from "./load.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { ordersContract, smallOrders } from "./small-orders.ts";
import { Tally } from "./tally.ts";

/** What the handler does at a time, how long each takes it, and how many callers make a call in each such time. */
const AT_ONCE = 8;
const WORK_MS = 25;
const CALLERS = 3 * AT_ONCE;
/** One in six: at most a fifth. */
const CRITICAL_CALLERS = 4;
const CALLS_EACH = 40;

const SHEDS: ServicePolicy = { shed: { maxConcurrent: AT_ONCE, maxQueued: 2 * AT_ONCE } };

/** What became of the calls of one criticality. */
export interface Ends {
  readonly calls: number;
  readonly ok: number;
  /** Refused by the server because of load. */
  readonly shed: number;
}

/** What the row saw. */
export interface Seen {
  readonly critical: Ends;
  readonly sheddable: Ends;
  /** Calls that came to the handler, and the most at a time. */
  readonly started: number;
  readonly mostAtOnce: number;
  /** Attempts of all clients. */
  readonly attempts: number;
}

/** Three times as many calls as the handler can do: those that matter least are refused, before they cost anything. */
export const shedding: Row = {
  name: "3 times the load, shed by what matters",
  async run() {
    // The row is about the limit: callers and server share an event loop here, and whatever else the machine does.
    const shed = { loopDelayMs: Number.POSITIVE_INFINITY };
    await using server = await smallOrders(SHEDS, WORK_MS, { shed });
    const [critical, sheddable] = [new Tally(), new Tally()];
    await Promise.all([
      drive(server.target, critical, "critical", CRITICAL_CALLERS),
      drive(server.target, sheddable, "sheddable", CALLERS - CRITICAL_CALLERS),
    ]);
    const seen: Seen = {
      critical: endsOf(critical),
      sheddable: endsOf(sheddable),
      started: server.started(),
      mostAtOnce: server.mostAtOnce(),
      attempts: critical.attempts + sheddable.attempts,
    };
    return {
      calls: critical.calls + sheddable.calls,
      attempts: seen.attempts,
      outcome: `critical: ${critical}; sheddable: ${sheddable}`,
      durationsMs: [...critical.durationsMs, ...sheddable.durationsMs],
      policy: `of ${seen.critical.calls} critical calls ${seen.critical.ok} were answered, of ${seen.sheddable.calls} sheddable ones ${seen.sheddable.ok}; the handler never had more than ${seen.mostAtOnce}`,
      late: critical.count("DEADLINE_EXCEEDED") + sheddable.count("DEADLINE_EXCEEDED"),
      checks: judge(seen),
    };
  },
};

/** What must have been seen. */
export function judge({ critical, sheddable, started, mostAtOnce, attempts }: Seen): Check[] {
  const share = critical.calls / (critical.calls + sheddable.calls);
  return [
    within("the share of critical calls", share, 0.1, 0.2),
    within("critical calls that were answered, of a hundred", (100 * critical.ok) / critical.calls, 99),
    within("sheddable calls that were refused", sheddable.shed, 1),
    same("sheddable calls that were answered or refused", sheddable.ok + sheddable.shed, sheddable.calls),
    same("attempts, one for each call", attempts, critical.calls + sheddable.calls),
    same("calls that came to the handler", started, critical.ok + sheddable.ok),
    within("of them at a time", mostAtOnce, 1, AT_ONCE),
  ];
}

/** Each caller makes a call in the time that one takes, whatever became of the call before. */
async function drive(target: string, tally: Tally, criticality: Criticality, callers: number): Promise<void> {
  using orders = createClient(ordersContract({}), target, { criticality, observer: tally.observer });
  const calls: Promise<unknown>[] = [];
  await inParallel(callers, callers * CALLS_EACH, (n) => {
    calls.push(orders.getOrder({ orderId: `o-${n + 1}` }).catch(() => {}));
    return sleep(WORK_MS);
  });
  await Promise.all(calls);
}

function endsOf(tally: Tally): Ends {
  return { calls: tally.calls, ok: tally.count("OK"), shed: tally.count("RESOURCE_EXHAUSTED", "SHED") };
}
