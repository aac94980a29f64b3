import { nextCallId } from "../../core/call-id.ts";
import { type Criticality, DEFAULT_CRITICALITY, isCriticality } from "../../core/criticality.ts";
import type { RpcError } from "../../core/errors.ts";
import { notify, type Observer } from "../../core/observer.ts";
import { statusName } from "../../core/status.ts";
import { refused, type ShedGate } from "./shed-gate.ts";

/** The gates of one method, in the order in which its calls come to them. */
export interface GatedMethod {
  readonly gates: readonly ShedGate[];
  /** What its calls matter of whom nobody says it. */
  readonly criticality: Criticality | undefined;
}

/**
 * Refuses calls by their headers alone, where it is certain that their gates would: nothing has been made for them yet,
 * which spares about half of what a refusal costs. Whoever may run or wait goes on to the gates, which decide.
 */
export class EarlyShedding {
  readonly #methods = new Map<string, GatedMethod>();
  readonly #observer: Observer | undefined;

  constructor(observer: Observer | undefined) {
    this.#observer = observer;
  }

  add(path: string, method: GatedMethod): void {
    this.#methods.set(path, method);
  }

  /**
   * What a call is refused with; undefined if it is not.
   *
   * @param said how much it matters, as its client says.
   */
  refusal(path: string, said: string | undefined): RpcError | undefined {
    const method = this.#methods.get(path);
    if (!method) return undefined;
    const criticality = isCriticality(said) ? said : (method.criticality ?? DEFAULT_CRITICALITY);
    for (const gate of method.gates) {
      const outlook = gate.shedder.outlook({ criticality }, gate.loopDelayMs());
      if (outlook === "waits") return undefined;
      if (outlook !== "runs") return this.#observed(path, () => refused(gate, path, criticality, outlook));
    }
    return undefined;
  }

  /** To an observer it is a call like any other. */
  #observed(method: string, refuse: () => RpcError): RpcError {
    const observer = this.#observer;
    if (!observer) return refuse();
    const call = { id: nextCallId(), method };
    notify(observer, { type: "served.started", ...call });
    const error = refuse();
    const state = { status: statusName(error.code), reason: error.reason, durationMs: 0 };
    notify(observer, { type: "served.ended", ...call, ...state });
    return error;
  }
}
