import type {
  AdaptiveLimitPolicy,
  BreakerPolicy,
  CachePolicy,
  RetryBudgetPolicy,
  RetryThrottlingPolicy,
  ServicePolicy,
  ThrottlePolicy,
} from "../contract/policy.ts";
import {
  failureCodes,
  resolveAdaptiveLimit,
  resolveBreaker,
  resolveBudget,
  resolveCache,
  resolveThrottle,
  resolveThrottling,
} from "../contract/resolve.ts";
import type { UnaryHandler } from "../core/call.ts";
import type { Filled } from "../core/check-options.ts";
import type { Clock } from "../core/clock.ts";
import { notify, type Observer } from "../core/observer.ts";
import type { Random } from "../core/random.ts";
import { AdaptiveLimit } from "../policy/adaptive-limit.ts";
import { Breaker, type BreakerTransition } from "../policy/breaker.ts";
import type { BreakerState } from "../policy/breaker-permit.ts";
import { BreakerSet } from "../policy/breaker-set.ts";
import { Bulkhead, type BulkheadOptions } from "../policy/bulkhead.ts";
import { ClientThrottle, type ClientThrottleOptions } from "../policy/client-throttle.ts";
import { HedgePace } from "../policy/hedge-pace.ts";
import { ResponseCache } from "../policy/response-cache.ts";
import type { RetryShare } from "../policy/retry.ts";
import { RetryBudget } from "../policy/retry-budget.ts";
import { RetryThrottling } from "../policy/retry-throttling.ts";
import { sameSettings } from "./updates/same-settings.ts";
import { Waits } from "./waits.ts";

/** Where a client's or middleware's policies take time and chance from, and whom they tell. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: Observer | undefined;
  /** What the client dials; a middleware cannot know. */
  readonly target: string | undefined;
}

/** What the calls of one client or middleware share: it has one target, so this is the target's. */
export class ClientState {
  readonly surroundings: Surroundings;
  readonly breakers: BreakerSet = new BreakerSet();
  readonly retryShare: RetryShare;
  /** The pipelines of methods with one response, by their keys, where a call may become a part of another method's. */
  readonly pipelines: Map<string, UnaryHandler> = new Map();
  /** How long attempts have waited at a bulkhead. */
  readonly waits: Waits = new Waits();
  readonly #paces = new Map<string, HedgePace>();
  readonly #breakerPolicies = new Map<string, BreakerPolicy>();
  readonly #bulkheads = new Map<string, Bulkhead>();
  readonly #caches = new Map<string, ResponseCache>();
  readonly #senders = new Map<string, () => void>();
  readonly #closing = new AbortController();
  #limit: AdaptiveLimit | undefined;
  /** By criticality. */
  readonly #throttles = new Map<string, ClientThrottle>();
  /** What they go by, those included that are made later. */
  #throttleOptions: ClientThrottleOptions | undefined;

  constructor(surroundings: Surroundings, throttling?: RetryThrottlingPolicy, budget?: RetryBudgetPolicy) {
    this.surroundings = surroundings;
    this.retryShare = {
      throttling: new RetryThrottling(resolveThrottling(throttling)),
      budget: new RetryBudget(resolveBudget(budget), surroundings.clock),
    };
  }

  /** Aborts when the client is closed: nobody waits any longer for another attempt. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  close(): void {
    this.#closing.abort();
    for (const send of this.#senders.values()) send();
  }

  /** Goes by other bounds from here on for what the target's calls may cause and have under way. */
  adjust({ retryThrottling, retryBudget, adaptiveLimit, throttle }: ServicePolicy): void {
    this.retryShare.throttling.adjust(resolveThrottling(retryThrottling));
    this.retryShare.budget.adjust(resolveBudget(retryBudget));
    if (adaptiveLimit) this.adaptiveLimit(adaptiveLimit).adjust(resolveAdaptiveLimit(adaptiveLimit));
    if (!throttle) return;
    const options = resolveThrottle(throttle);
    this.#throttleOptions = options;
    for (const one of this.#throttles.values()) one.adjust(options);
  }

  /** How long the calls of a method wait before they are hedged; made at first. */
  hedgePace(path: string): HedgePace {
    const pace = this.#paces.get(path) ?? new HedgePace(this.surroundings.clock);
    this.#paces.set(path, pace);
    return pace;
  }

  /** The limit of the target's calls under way; made by this policy if there is none yet. */
  adaptiveLimit(policy: AdaptiveLimitPolicy): AdaptiveLimit {
    const { clock, observer, target } = this.surroundings;
    const told = observer && limitToldOf(observer, target);
    this.#limit ??= new AdaptiveLimit(resolveAdaptiveLimit(policy), clock, told);
    return this.#limit;
  }

  /**
   * The throttle of the target's calls of one criticality; made by this policy if there is none yet, and nothing has
   * been adjusted. Each has its own (SRE book): a target that has too much to do rejects what matters least, and takes
   * on the rest.
   *
   * @param criticality as it is sent; empty where nothing is.
   */
  throttle(policy: ThrottlePolicy, criticality = ""): ClientThrottle {
    const { clock, random } = this.surroundings;
    this.#throttleOptions ??= resolveThrottle(policy);
    const throttle = this.#throttles.get(criticality) ?? new ClientThrottle(this.#throttleOptions, clock, random);
    this.#throttles.set(criticality, throttle);
    return throttle;
  }

  /** The bulkhead of a method; made by these options, or adjusted to them, and then `admit` lets in who waits. */
  bulkhead(path: string, options: BulkheadOptions, limit: AdaptiveLimit | undefined): Bulkhead {
    const known = this.#bulkheads.get(path);
    known?.adjust(options, limit);
    const bulkhead = known ?? new Bulkhead(options, limit);
    this.#bulkheads.set(path, bulkhead);
    return bulkhead;
  }

  /** Nothing bounds a method any more: those that wait need not, once `admit` is called. */
  freeBulkhead(path: string): void {
    this.#bulkheads.get(path)?.adjust({ maxConcurrent: Number.POSITIVE_INFINITY, maxQueued: 0 });
  }

  /** Lets in those that wait at bulkheads: once, when all bounds that change together are in place. */
  admit(): void {
    for (const bulkhead of this.#bulkheads.values()) bulkhead.admit();
  }

  /** The kept answers of a method, by this policy from here on. */
  cache(path: string, policy: CachePolicy): ResponseCache {
    const options = resolveCache(policy);
    const known = this.#caches.get(path);
    known?.adjust(options);
    const cache = known ?? new ResponseCache(options, this.surroundings.clock);
    this.#caches.set(path, cache);
    return cache;
  }

  /** Nothing of a method is kept any more. */
  dropCache(path: string): void {
    this.#caches.delete(path);
  }

  /**
   * Says how what has been gathered is sent before its time: when the client is closed, or the method's calls are
   * gathered otherwise, or, with undefined, no longer.
   */
  gathering(key: string, send: (() => void) | undefined): void {
    this.#senders.get(key)?.();
    if (send) this.#senders.set(key, send);
    else this.#senders.delete(key);
  }

  /** The breaker of a name, such as a method's path; made by this policy if there is none yet. */
  breaker(name: string, policy: BreakerPolicy): Breaker {
    const { clock, random, observer, target } = this.surroundings;
    const told = observer && toldOf(observer, name, target);
    return this.breakers.of(name, () => new Breaker(resolveBreaker(policy), clock, random, told));
  }

  /**
   * The same, adjusted to this policy if it has gone by another one until now; a default that is stated, or stated no
   * longer, makes no other.
   *
   * @param defaults of the method, which come of its timeout.
   */
  breakerBy(name: string, policy: BreakerPolicy, defaults: BreakerDefaults): Breaker {
    const breaker = this.breaker(name, policy);
    const before = this.#breakerPolicies.get(name) ?? policy;
    this.#breakerPolicies.set(name, policy);
    if (!sameSettings(resolved(before, defaults), resolved(policy, defaults))) breaker.adjust(resolveBreaker(policy));
    return breaker;
  }
}

/** What a breaker goes by where its policy does not say. */
export type BreakerDefaults = Filled<Pick<BreakerPolicy, "slowMs" | "trialTimeoutMs">>;

/** All that a breaker goes by. */
function resolved(policy: BreakerPolicy, defaults: BreakerDefaults) {
  return { ...resolveBreaker({ ...defaults, ...policy }), codes: [...failureCodes(policy)].sort() };
}

/** What a breaker did when it came to a state. */
const ACTIONS: Record<BreakerState, string> = {
  closed: "closed",
  open: "opened",
  "half-open": "half-opened",
  "forced-open": "forced-open",
  "forced-closed": "forced-closed",
  disabled: "disabled",
};

function toldOf(observer: Observer, name: string, target: string | undefined) {
  const at = { ...(name.startsWith("/") && { method: name }), ...(target !== undefined && { target }) };
  return ({ to, ...detail }: BreakerTransition) =>
    notify(observer, { type: "policy", policy: "breaker", action: ACTIONS[to], ...at, detail: { name, ...detail } });
}

function limitToldOf(observer: Observer, target: string | undefined) {
  const at = target === undefined ? {} : { target };
  return (from: number, to: number) =>
    notify(observer, { type: "policy", policy: "adaptive-limit", action: "changed", ...at, detail: { from, to } });
}
