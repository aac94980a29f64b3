import type { ClientMiddleware } from "nice-grpc-common";
import { type ServiceDefinition, toMethod } from "../../contract/definition.ts";
import { serviceProblems } from "../../contract/named-methods.ts";
import { isNumber, optionProblems } from "../../contract/option-problems.ts";
import { type CachePolicy, DEFAULT_TIMEOUT_MS } from "../../contract/policy.ts";
import { checkCache } from "../../contract/validate-isolation.ts";
import type { Problem } from "../../contract/value-checks.ts";
import type { CallOptions } from "../../core/call-options.ts";
import { checkOptions, isFunction, isObject, isText, type OptionCheck } from "../../core/check-options.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import { systemRandom } from "../../core/random.ts";
import { ClientState } from "../client-state.ts";
import { aroundNice, type NiceMethod, niceMiddleware, type OwnOptions } from "../nice-pipeline.ts";
import { type SharingPolicy, sharingLayers } from "../policy-layers/sharing-layers.ts";

/** What `coalesce()` takes. */
export interface CoalesceMiddlewareOptions {
  /** Whom calls are made for that say nothing of it. Default: all share that send equal metadata. */
  readonly partition?: string | undefined;
  /** Is told of each call that joins another. Default: nobody is. */
  readonly observer?: Observer | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** What `cache()` takes: a cache policy, and the same. */
export interface CacheMiddlewareOptions extends CachePolicy, CoalesceMiddlewareOptions {}

/** What `coalesce()` adds to nice-grpc's call options. */
export type CoalesceCallOptions = Pick<CallOptions, "partition" | "cache">;

/** What `cache()` adds to nice-grpc's call options. */
export type CacheCallOptions = Pick<CallOptions, "partition" | "cache" | "onCached">;

const COALESCE: Readonly<Record<keyof CoalesceMiddlewareOptions, OptionCheck>> = {
  ...{ partition: isText, observer: isFunction, clock: isObject },
};

const CACHE: Readonly<Record<keyof CacheMiddlewareOptions, OptionCheck>> = {
  ...{ ttlMs: isNumber, staleWhileRevalidateMs: isNumber, staleIfErrorMs: isNumber },
  ...{ maxEntries: isNumber, maxBytes: isNumber, ...COALESCE },
};

/** `partition` and `cache` go on: another of these may stand below, and must keep apart what this one does. */
const OWN_OPTIONS: OwnOptions = { signal: true, metadata: true, onCached: true, onHeader: true, onTrailer: true };
const READ: OwnOptions = { ...OWN_OPTIONS, partition: true, cache: true };

/**
 * Coalescing as one nice-grpc client middleware: `createClientFactory().use(coalesce(OrderServiceDefinition))`. For the
 * unary methods of a service that have no side effects; all other calls pass untouched. `use` what says who is calling,
 * such as a token, after it, so that it stands outside; else say `partition`.
 *
 * @param service ts-proto's definition.
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function coalesce(
  service: ServiceDefinition,
  options: CoalesceMiddlewareOptions = {},
): ClientMiddleware<CoalesceCallOptions> {
  refuse("coalesce", [...serviceProblems(service), ...checkOptions(options, COALESCE)]);
  return sharing(service, { coalesce: {} }, options);
}

/**
 * A cache as one nice-grpc client middleware:
 * `createClientFactory().use(cache(OrderServiceDefinition, { ttlMs: 5_000 }))`. For the unary methods of a service that
 * have no side effects, each with bounds of its own; all other calls pass untouched. Who is calling is said as with
 * `coalesce`. A refresh in the background may take 10 s.
 *
 * @param service ts-proto's definition.
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function cache(service: ServiceDefinition, options: CacheMiddlewareOptions): ClientMiddleware<CacheCallOptions> {
  const missing = options?.ttlMs === undefined ? ["ttlMs is missing: say for how long an answer is fresh"] : [];
  refuse("cache", [...serviceProblems(service), ...optionProblems(options, CACHE, checkNumbers), ...missing]);
  return sharing(service, { cache: options }, options);
}

function sharing<Ext>(service: ServiceDefinition, policy: SharingPolicy, around: CoalesceMiddlewareOptions) {
  const { clock = systemClock, observer, partition = "" } = around;
  const state = new ClientState({ clock, random: systemRandom, observer, target: undefined });
  const methods = new Map<string, NiceMethod>();
  for (const definition of Object.values(service.methods)) {
    const method = toMethod(service, definition);
    const layers = sharingLayers(policy, method, state, { partition, timeoutMs: DEFAULT_TIMEOUT_MS });
    if (Object.keys(layers).length > 0) methods.set(method.path, aroundNice(method, layers, clock));
  }
  return niceMiddleware<Ext>(({ path }) => methods.get(path), OWN_OPTIONS, READ);
}

/** What is missing is told in the names that options have. */
function checkNumbers(policy: Partial<CachePolicy>): readonly Problem[] {
  return checkCache(policy).filter(({ path }) => path.length > 1);
}

function refuse(name: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new TypeError(`${name}: ${problems.join("; ")}`);
}
