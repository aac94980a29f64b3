import type { ClientMiddleware } from "nice-grpc-common";
import { isNumber, optionProblems } from "../../contract/option-problems.ts";
import type { AdaptiveLimitPolicy, BulkheadPolicy, ThrottlePolicy } from "../../contract/policy.ts";
import { checkServiceIsolation } from "../../contract/validate-isolation.ts";
import { isFunction, isObject, type OptionCheck } from "../../core/check-options.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import { type Random, systemRandom } from "../../core/random.ts";
import { ClientState } from "../client-state.ts";
import { aroundNice, niceMiddleware, type OwnOptions } from "../nice-pipeline.ts";
import { type IsolationPolicy, isolationLayers } from "../policy-layers/isolation-layers.ts";
import { perMethod } from "./single-policy.ts";

/** Whom a middleware tells, and where it takes time from. */
interface Around {
  /** Is told of each call that is rejected, or waits, and of each change of a limit. Default: nobody is. */
  readonly observer?: Observer | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** What `bulkhead()` takes. */
export interface BulkheadMiddlewareOptions extends BulkheadPolicy, Around {}

/** What `adaptiveLimit()` takes. */
export interface AdaptiveLimitMiddlewareOptions extends AdaptiveLimitPolicy, Around {}

/** What `throttle()` takes. */
export interface ThrottleMiddlewareOptions extends ThrottlePolicy, Around {
  /** For tests. Default: the machine's. */
  readonly random?: Random | undefined;
}

type Checks<T> = Readonly<Record<keyof T, OptionCheck>>;

const AROUND: Checks<Around> = { observer: isFunction, clock: isObject };

const BULKHEAD: Checks<BulkheadMiddlewareOptions> = {
  ...{ maxConcurrent: isNumber, maxQueued: isNumber, maxWaitMs: isNumber },
  ...AROUND,
};

const ADAPTIVE_LIMIT: Checks<AdaptiveLimitMiddlewareOptions> = {
  ...{ initialLimit: isNumber, minLimit: isNumber, maxLimit: isNumber, tolerance: isNumber, smoothing: isNumber },
  ...AROUND,
};

const THROTTLE: Checks<ThrottleMiddlewareOptions> = {
  ...{ k: isNumber, windowMs: isNumber, random: isFunction },
  ...AROUND,
};

const OWN_OPTIONS: OwnOptions = { signal: true, metadata: true, onHeader: true, onTrailer: true };

/**
 * A bulkhead as one nice-grpc client middleware: `createClientFactory().use(bulkhead({ maxConcurrent: 10 }))`. Bounds
 * the calls of each method that are under way, streams to their end; one too many waits, where `maxQueued` says so, and
 * is rejected with `BULKHEAD_FULL` otherwise. Make one per channel.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function bulkhead(options: BulkheadMiddlewareOptions = {}): ClientMiddleware {
  check("bulkhead", options, BULKHEAD);
  return isolation({ bulkhead: options }, options);
}

/**
 * A limit on calls under way that follows the target's latency, as one nice-grpc client middleware:
 * `createClientFactory().use(adaptiveLimit())`. All methods of the channel share it; one call too many is rejected with
 * `LIMIT_REACHED`. Make one per channel. A deadline middleware belongs inside of it, `use` it first: what is cancelled
 * from outside is no sign of a slow target.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function adaptiveLimit(options: AdaptiveLimitMiddlewareOptions = {}): ClientMiddleware {
  check("adaptiveLimit", options, ADAPTIVE_LIMIT);
  return isolation({ adaptiveLimit: options }, options);
}

/**
 * The client's throttling as one nice-grpc client middleware: `createClientFactory().use(throttle())`. While the target
 * rejects calls, a share of them is rejected here, with `CLIENT_THROTTLED`. All methods with one response share it;
 * streams pass untouched. Make one per channel, and `use` it after `retry()`: it counts calls, not attempts.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function throttle(options: ThrottleMiddlewareOptions = {}): ClientMiddleware {
  check("throttle", options, THROTTLE);
  return isolation({ throttle: options }, options);
}

function isolation(
  policy: IsolationPolicy,
  around: Around & Pick<ThrottleMiddlewareOptions, "random">,
): ClientMiddleware {
  const { clock = systemClock, random = systemRandom, observer } = around;
  const state = new ClientState({ clock, random, observer, target: undefined });
  const find = perMethod((method) => {
    if (policy.throttle && method.responseStream) return undefined;
    return aroundNice(method, isolationLayers(policy, method.path, state), clock);
  });
  return niceMiddleware(find, OWN_OPTIONS);
}

function check<T extends object>(name: "bulkhead" | "adaptiveLimit" | "throttle", options: T, checks: Checks<T>): void {
  const problems = optionProblems(options, checks, (policy) => checkServiceIsolation({ [name]: policy }));
  if (problems.length > 0) throw new TypeError(`${name}: ${problems.join("; ")}`);
}
