import type { Contract } from "../../contract/contract.ts";
import { type MethodPolicy, mergePolicy } from "../../contract/policy.ts";
import { type Criticality, DEFAULT_CRITICALITY } from "../../core/criticality.ts";
import type { Method } from "../../core/method.ts";
import { notify } from "../../core/observer.ts";
import type { PipelineOptions } from "../client-options.ts";
import type { ClientState } from "../client-state.ts";
import type { Layers } from "../pipeline.ts";
import { breakerName, methodLayers } from "../policy-layers/method-layers.ts";
import { changedContract } from "./changed-contract.ts";
import { sameSettings } from "./same-settings.ts";

/** What the pipeline of a method is made by: it is made anew when that changes. */
interface InForce {
  readonly policy: MethodPolicy;
  /** Undefined if it has none. */
  readonly breaker: string | undefined;
  readonly limited: boolean;
  readonly throttled: boolean;
}

/** A method, and who puts its layers in force. */
interface Followed {
  readonly method: Method;
  readonly install: (layers: Layers) => void;
  inForce: InForce;
}

/**
 * The policies of a client or middleware while it runs: those of its contract, until an update says otherwise. A call
 * that has begun keeps the layers that it began with. What calls share stays where it is, and is adjusted: none that is
 * under way or waits is forgotten.
 */
export class LivePolicies {
  readonly #said: Contract;
  readonly #options: PipelineOptions;
  readonly #state: ClientState;
  readonly #methods = new Map<string, Followed>();
  #contract: Contract;
  #updating = false;

  constructor(contract: Contract, options: PipelineOptions, state: ClientState) {
    this.#said = contract;
    this.#contract = contract;
    this.#options = options;
    this.#state = state;
  }

  /** Puts the layers of a method in force: now, and whenever an update makes them others. */
  follow(key: string, method: Method, install: (layers: Layers) => void): void {
    this.#methods.set(key, { method, install, inForce: inForce(this.#contract, key, method) });
    install(this.#layers(key, method));
  }

  /**
   * Has the contract's policies hold, with these changes.
   *
   * @throws TypeError that lists everything that is wrong with them; then nothing is changed.
   */
  update(changes: unknown): void {
    if (this.#updating) throw new TypeError("updatePolicies: another update of this client is under way");
    const next = changedContract(this.#said, changes);
    const before = this.#contract;
    const methods = this.#apply(next);
    if (methods.length > 0 || !sameSettings(before.service, next.service)) this.#tell(methods);
  }

  #tell(methods: readonly string[]): void {
    const { observer, target } = this.#state.surroundings;
    if (!observer) return;
    const at = target === undefined ? {} : { target };
    const detail = { service: this.#said.name, methods: methods.join(", ") };
    notify(observer, { type: "policy", policy: "policies", action: "updated", ...at, detail });
  }

  /** @returns the methods whose pipelines it has made anew. */
  #apply(next: Contract): string[] {
    this.#updating = true;
    try {
      return this.#install(next);
    } finally {
      this.#updating = false;
    }
  }

  #install(next: Contract): string[] {
    this.#contract = next;
    const changed = [...this.#methods].filter(([key, followed]) => {
      const before = followed.inForce;
      followed.inForce = inForce(next, key, followed.method);
      return !sameSettings(before, followed.inForce);
    });
    for (const [key, { method, install }] of changed) install(this.#layers(key, method));
    const breakers = [...this.#methods.values()].flatMap(({ inForce: { breaker } }) => breaker ?? []);
    this.#state.breakers.retireBut(new Set(breakers));
    // A limit that rises lets in at once who waits for it: not by bounds of the methods that hold no longer.
    this.#state.adjust(next.service);
    this.#state.admit();
    return changed.map(([key]) => key);
  }

  #layers(key: string, method: Method): Layers {
    const { criticality = changedCriticality(this.#said, this.#contract, key) } = this.#options;
    const options = { ...this.#options, ...(criticality && { criticality }) };
    return methodLayers(this.#contract, key, method, options, this.#state);
  }
}

/** How much calls matter where an update changes that: it is sent, since a server goes by its own contract. */
function changedCriticality(said: Contract, changed: Contract, key: string): Criticality | undefined {
  const [before, after] = [said, changed].map(
    ({ service, methods }) => methods[key]?.criticality ?? service.criticality ?? DEFAULT_CRITICALITY,
  );
  return before === after ? undefined : after;
}

function inForce(contract: Contract, key: string, method: Method): InForce {
  const { service, methods } = contract;
  const own = methods[key] ?? {};
  const policy = mergePolicy(service, own, method.responseStream);
  return {
    policy,
    breaker: policy.breaker?.disabled ? undefined : breakerName(contract, own, method),
    limited: service.adaptiveLimit !== undefined,
    throttled: service.throttle !== undefined,
  };
}
