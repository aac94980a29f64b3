import { createClient, type ServicePolicy } from "bowline";
import { inParallel } from "./load.ts";
import { type Check, type Row, same, within } from "./row.ts";
import { ordersContract, smallOrders } from "./small-orders.ts";
import { Tally } from "./tally.ts";

/** What each caller may do at once, and after that a few times a second. */
const BURST = 5;
const LIMITED: ServicePolicy = { auth: {}, rateLimit: { calls: 3, perMs: 1_000, burst: BURST } };
const EAGER_CALLS = 40;
/** More would close the throttle of the one that tries again. */
const PATIENT_CALLS = BURST + 2;

/** What the row saw. */
export interface Seen {
  /** Of the caller that does not wait: what was answered, and what was refused because of its rate. */
  readonly eagerOk: number;
  readonly eagerRefused: number;
  /** Of one that keeps to its rate, in the same moments. */
  readonly modestOk: number;
  /** Of one that is over its rate and comes again when it was told to; and how often it was told. */
  readonly patientOk: number;
  readonly patientWaits: number;
  /** Calls of all of them that came to the handler. */
  readonly started: number;
}

/** A caller over its rate is refused, and told when to come again; others are served. */
export const overRate: Row = {
  name: "a caller over its rate",
  async run() {
    await using server = await smallOrders(LIMITED, 1, { authenticate: byName });
    const [eager, modest, patient] = [new Tally(), new Tally(), new Tally()];
    const ask = async (tally: Tally, caller: string, calls: number, atOnce: number, retries = false) => {
      const agreed = ordersContract({}, retries ? ["RESOURCE_EXHAUSTED"] : []);
      using orders = createClient(agreed, server.target, { observer: tally.observer });
      await inParallel(atOnce, calls, () =>
        orders.getOrder({ orderId: "o-1" }, { metadata: { caller } }).catch(() => {}),
      );
    };
    await Promise.all([
      ask(eager, "eager", EAGER_CALLS, 8),
      ask(modest, "modest", BURST, 1),
      ask(patient, "patient", PATIENT_CALLS, PATIENT_CALLS, true),
    ]);
    const seen: Seen = {
      eagerOk: eager.count("OK"),
      eagerRefused: eager.count("RESOURCE_EXHAUSTED", "RATE_LIMITED"),
      modestOk: modest.count("OK"),
      patientOk: patient.count("OK"),
      patientWaits: patient.acted("retry", "scheduled", { because: "pushback" }),
      started: server.started(),
    };
    const tallies = [eager, modest, patient];
    const sum = (count: (tally: Tally) => number) => tallies.reduce((total, tally) => total + count(tally), 0);
    return {
      calls: sum(({ calls }) => calls),
      attempts: sum(({ attempts }) => attempts),
      outcome: tallies.join("; "),
      durationsMs: tallies.flatMap(({ durationsMs }) => durationsMs),
      policy: `of ${EAGER_CALLS} calls of one caller ${seen.eagerRefused} were refused before their handler; one that tries again was told ${seen.patientWaits} times when, and had all its answers`,
      late: sum((tally) => tally.count("DEADLINE_EXCEEDED")),
      checks: judge(seen),
    };
  },
};

/** Whoever says a name is taken for it: the tour is about rates. */
function byName({ metadata }: { readonly metadata: { get(key: string): unknown } }) {
  return { identity: { key: `token:tour|${metadata.get("caller")}`, source: "token" as const } };
}

/** What must have been seen. */
export function judge(seen: Seen): Check[] {
  return [
    within("calls of the eager caller that were answered", seen.eagerOk, BURST, EAGER_CALLS - 1),
    same("its other calls, refused because of its rate", seen.eagerRefused, EAGER_CALLS - seen.eagerOk),
    same("calls of one within its rate that were answered", seen.modestOk, BURST),
    same("calls of one that comes again when it is told, answered", seen.patientOk, PATIENT_CALLS),
    within("how often it was told", seen.patientWaits, 1),
    same("calls that came to the handler", seen.started, seen.eagerOk + seen.modestOk + seen.patientOk),
  ];
}
