import type { Observer, ObserverEvent, Reason, StatusName } from "bowline";

type PolicyActed = Extract<ObserverEvent, { type: "policy" }>;
type Detail = PolicyActed["detail"];

/** What the clients of one row saw. Give its `observer` to each of them. */
export class Tally {
  /** Calls made. */
  calls = 0;
  /** Tries on the wire. */
  attempts = 0;
  /** Duration of each call that ended, in milliseconds. */
  readonly durationsMs: number[] = [];
  readonly #ends: { readonly status: StatusName; readonly reason: Reason | undefined }[] = [];
  readonly #acts: PolicyActed[] = [];
  readonly #methods: readonly string[];

  /** @param methods counts these alone, such as `GetOrder`. Default: all. */
  constructor(...methods: string[]) {
    this.#methods = methods;
  }

  readonly observer: Observer = (event) => {
    const name = event.method?.split("/")[2] ?? "";
    if (this.#methods.length > 0 && !this.#methods.includes(name)) return;
    if (event.type === "call.started") this.calls++;
    if (event.type === "attempt.started") this.attempts++;
    if (event.type === "policy") this.#acts.push(event);
    if (event.type !== "call.ended") return;
    this.durationsMs.push(event.durationMs);
    this.#ends.push({ status: event.status, reason: event.reason });
  };

  /** How many calls ended so. */
  count(status: StatusName, reason?: Reason): number {
    return this.#ends.filter((end) => end.status === status && (!reason || end.reason === reason)).length;
  }

  /** What a policy said each time it did something, in order. */
  details(policy: string, action: string): Detail[] {
    return this.#acts.filter((act) => act.policy === policy && act.action === action).map(({ detail }) => detail);
  }

  /** What a policy did, in order. */
  actions(policy: string): string[] {
    return this.#acts.filter((act) => act.policy === policy).map(({ action }) => action);
  }

  /** The statuses of the calls that ended, in order. */
  statuses(): StatusName[] {
    return this.#ends.map(({ status }) => status);
  }

  /** How often a policy did something, with these details. */
  acted(policy: string, action: string, having: Detail = {}): number {
    const has = (detail: Detail) => Object.entries(having).every(([key, value]) => detail[key] === value);
    return this.details(policy, action).filter(has).length;
  }

  /** How many calls ended in each way: `740 OK, 2 NOT_FOUND`. */
  toString(): string {
    const ways = Map.groupBy(this.#ends, ({ status, reason }) =>
      !reason || reason === "STATUS" || reason === status ? status : `${status} (${reason})`,
    );
    return [...ways].map(([way, ends]) => `${ends.length.toLocaleString("en")} ${way}`).join(", ");
  }
}
