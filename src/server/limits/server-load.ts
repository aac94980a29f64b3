import type { Contract } from "../../contract/contract.ts";
import { LOOP_DELAY_MS, resolveShed } from "../../contract/resolve-serving.ts";
import type { ShedPolicy } from "../../contract/server-policy.ts";
import type { Clock } from "../../core/clock.ts";
import type { RpcError } from "../../core/errors.ts";
import type { Method } from "../../core/method.ts";
import { notify, type Observer } from "../../core/observer.ts";
import { systemRandom } from "../../core/random.ts";
import type { ServerLayer } from "../../core/served-call.ts";
import { AdaptiveLimit } from "../../policy/adaptive-limit.ts";
import { FixedLimit } from "../../policy/fixed-limit.ts";
import { Shedder } from "../../policy/shedding.ts";
import { methodsOf } from "../contract-methods.ts";
import { type KeyedLimit, type RateLimiting, rateLimitLayer } from "../layers/rate-limit.ts";
import { shedLayer } from "../layers/shed.ts";
import type { ServerLayers } from "../pipeline.ts";
import { EarlyShedding } from "./early-shedding.ts";
import { limitOf, namedLimit, type RateLimitOptions, type ShedOptions } from "./load-options.ts";
import { LoopDelay } from "./loop-delay.ts";
import { memoryRateLimit } from "./rate-limit-store.ts";
import type { ShedGate } from "./shed-gate.ts";

/** What a server's limits are made with. */
export interface LoadSurroundings {
  readonly rateLimit?: RateLimitOptions | false | undefined;
  readonly shed?: ShedOptions | false | undefined;
  readonly clock: Clock;
  readonly observer: Observer | undefined;
  readonly onError: RateLimiting["onError"];
}

/**
 * How many callers are authenticated at a time who call what no contract says anything of, where the server has no limit
 * for all of its methods. They wait: others than these would not be refused either, and it would tell them apart.
 */
const STRANGERS: ShedPolicy = { maxConcurrent: 32, maxQueued: 1_000 };
const NO_LAG: ShedOptions = { loopDelayMs: Number.POSITIVE_INFINITY };

/** How many calls a server takes on: its rate limits, and when it sheds. One for all of its services. */
export class ServerLoad {
  readonly #surroundings: LoadSurroundings;
  readonly #loopDelay: LoopDelay;
  /** Of all services that do not say when to shed. */
  readonly #gate: ShedGate | undefined;
  /** Of what no contract of the server's own says anything. */
  #strangers: ShedGate | undefined;
  #limiting: Omit<RateLimiting, "limitsOf"> | undefined;
  readonly #early: EarlyShedding;

  constructor(surroundings: LoadSurroundings) {
    this.#surroundings = surroundings;
    this.#loopDelay = new LoopDelay(surroundings.clock);
    this.#gate = surroundings.shed ? this.#gateOf(surroundings.shed) : undefined;
    this.#early = new EarlyShedding(surroundings.observer);
  }

  /**
   * What a call is refused with before anything has been made for it; undefined if it is not. It is never said too much,
   * and not where a function decides whom to believe.
   *
   * @param criticality how much it matters, as its client says.
   */
  refusal(path: string, criticality: string | undefined): RpcError | undefined {
    return this.#early.refusal(path, criticality);
  }

  /**
   * The layers of a contract's methods. gRPC's own services have none where they are open: a server that has too much to
   * do is not helped by being taken for dead.
   *
   * @param authenticates whether whoever calls a method of that path is asked who it is. Default: nobody is.
   */
  layers(contract: Contract, authenticates: (path: string) => boolean = () => false): ServerLayers {
    const { observer } = this.#surroundings;
    if (contract.name.startsWith("grpc.")) return this.#beforeAuthentication(authenticates, observer);
    return { ...this.#shedLayers(contract), ...this.#rateLimitLayers(contract) };
  }

  /** The layers of methods that there are not, whose callers are authenticated nevertheless. */
  unknownLayers(): ServerLayers {
    // Nobody is told: names that callers make up would fill whatever counts by method.
    return this.#beforeAuthentication(() => true, undefined);
  }

  #beforeAuthentication(authenticates: (path: string) => boolean, observer: Observer | undefined): ServerLayers {
    if (this.#surroundings.shed === false) return {};
    this.#strangers ??= this.#gate ?? gateOf(STRANGERS, { ...this.#surroundings, shed: NO_LAG });
    const { unary, stream } = shedLayer({ ...this.#strangers, observer });
    const shed: ServerLayer = {
      unary: (next, method) => (authenticates(method.path) ? unary(next, method) : next),
      stream: (next, method) => (authenticates(method.path) ? stream(next, method) : next),
    };
    return { shed };
  }

  /** A method's own gate stands before its service's: whoever waits at it takes no place of other methods. */
  #shedLayers(contract: Contract): ServerLayers {
    if (this.#surroundings.shed === false) return {};
    const shared = contract.service.shed ? this.#gateOf(contract.service.shed, contract.name) : this.#gate;
    const gates = new Map<string, readonly ShedGate[]>();
    for (const { method, policy } of methodsOf(contract)) {
      const { path } = method;
      const { shed, criticality } = policy;
      const own = shed && this.#gateOf(shed, path);
      const before = [own, shared].filter((gate) => gate !== undefined);
      gates.set(path, before);
      if (!this.#surroundings.shed?.trustCriticality) this.#early.add(path, { gates: before, criticality });
    }
    if ([...gates.values()].every((before) => before.length === 0)) return {};
    const around = ({ path }: Method) => (gates.get(path) ?? []).map(shedLayer);
    const shed: ServerLayer = {
      unary: (next, method) => around(method).reduceRight((inner, layer) => layer.unary(inner, method), next),
      stream: (next, method) => around(method).reduceRight((inner, layer) => layer.stream(inner, method), next),
    };
    return { shed };
  }

  #gateOf(policy: ShedPolicy, name?: string): ShedGate {
    return gateOf(policy, { ...this.#surroundings, loopDelay: this.#loopDelay }, name);
  }

  #rateLimitLayers(contract: Contract): ServerLayers {
    const { rateLimit } = this.#surroundings;
    if (rateLimit === false) return {};
    const limits = new Map<string, readonly KeyedLimit[]>();
    for (const { method, policy } of methodsOf(contract)) {
      const { path } = method;
      const byCode = rateLimit && limitOf(rateLimit, path);
      const both = [policy.rateLimit, byCode].filter((limit) => limit !== undefined);
      if (both.length > 0) limits.set(path, narrowestFirst(both.map((limit) => namedLimit(path, limit))));
    }
    if (limits.size === 0) return {};
    return { rateLimit: rateLimitLayer({ ...this.#limits, limitsOf: ({ path }) => limits.get(path) ?? [] }) };
  }

  get #limits(): Omit<RateLimiting, "limitsOf"> {
    const { rateLimit, observer, onError, clock } = this.#surroundings;
    const { store = memoryRateLimit({ clock }) } = rateLimit || {};
    this.#limiting ??= { store, observer, onError };
    return this.#limiting;
  }
}

/** Whose calls share a bucket, from the fewest callers to all of them. */
const NARROWEST_FIRST = ["identity", "peer", "method"] as const satisfies readonly KeyedLimit["key"][];

/**
 * Each limit once, however often it is said, and the buckets that the fewest callers share first: whoever is refused by
 * its own has taken nothing of the others'.
 */
function narrowestFirst(limits: readonly KeyedLimit[]): readonly KeyedLimit[] {
  const rank = ({ key }: KeyedLimit) => NARROWEST_FIRST.indexOf(key);
  return [...new Map(limits.map((limit) => [limit.name, limit])).values()].sort((a, b) => rank(a) - rank(b));
}

/** What a gate is made with. */
export interface GateSurroundings extends Pick<LoadSurroundings, "shed" | "clock" | "observer"> {
  /** Default: one of its own. */
  readonly loopDelay?: LoopDelay;
}

/**
 * What decides by a policy whether a call is run.
 *
 * @param name of what it is for, as an observer is told.
 */
export function gateOf(policy: ShedPolicy, surroundings: GateSurroundings, name?: string): ShedGate {
  const { clock, observer, shed, loopDelay = new LoopDelay(clock) } = surroundings;
  const { loopDelayMs = LOOP_DELAY_MS, trustCriticality } = shed || {};
  const { limit, maxQueued, maxWaitMs } = resolveShed(policy);
  const told = observer && limitToldOf(observer, name);
  const bound = typeof limit === "number" ? new FixedLimit(limit) : new AdaptiveLimit(limit, clock, told);
  const shedder = new Shedder({ maxQueued, loopDelayMs }, bound, clock);
  const lag = loopDelayMs === Number.POSITIVE_INFINITY ? () => 0 : loopDelay.read;
  return { shedder, maxWaitMs, clock, random: systemRandom, observer, loopDelayMs: lag, trustCriticality };
}

function limitToldOf(observer: Observer, name: string | undefined) {
  const at = name?.startsWith("/") ? { method: name } : {};
  return (from: number, to: number) => {
    const detail = { from, to, ...(name !== undefined && { name }) };
    notify(observer, { type: "policy", policy: "shed", action: "changed", ...at, detail });
  };
}
