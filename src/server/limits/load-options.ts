import { isNumber, valueProblems } from "../../contract/option-problems.ts";
import { resolveRateLimit } from "../../contract/resolve-serving.ts";
import type { RateLimitPolicy, ShedPolicy } from "../../contract/server-policy.ts";
import { checkRateLimit, checkShed } from "../../contract/validate-load.ts";
import type { CallContext } from "../../core/call-context.ts";
import { checkOptions, isFunction, isPositive, type OptionCheck, show } from "../../core/check-options.ts";
import type { RateLimitStore } from "./rate-limit-store.ts";

/** How often a server's methods may be called, besides what its contracts say. */
export interface RateLimitOptions extends RateLimitPolicy {
  /** Other limits for some methods, by path: `/shop.orders.v1.OrderService/GetOrder`. Default: none. */
  readonly methods?: Readonly<Record<string, RateLimitPolicy>> | undefined;
  /**
   * Where buckets are kept: `redisRateLimit(…)` for what all replicas share. It keeps those of the contract's limits
   * too. Default: `memoryRateLimit()`, by which each replica allows the whole limit.
   */
  readonly store?: RateLimitStore | undefined;
}

/** When a server refuses calls, where its contracts do not say. */
export interface ShedOptions extends ShedPolicy {
  /**
   * From which delay of the event loop on what is sheddable is refused, in milliseconds; from twice that on
   * `sheddable_plus`, from four times on `critical`. It holds for contracts that say when to shed too. `Infinity`: it is
   * no load. Default: 100.
   */
  readonly loopDelayMs?: number | undefined;
  /**
   * Whether a caller is believed that says how much its call matters. Asked before authentication: the context has
   * the peer and the metadata. Of whom it is not, what the contract says counts. Default: all callers are.
   */
  readonly trustCriticality?: ((context: CallContext) => boolean) | undefined;
}

type Checks<T> = Readonly<Record<keyof T, OptionCheck>>;

const isPlain: OptionCheck = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? undefined
    : `must be an object; it is ${show(value)}`;

/** Looked at by its values. */
const later: OptionCheck = () => undefined;

const RATE_LIMIT: Checks<RateLimitPolicy> = { calls: isNumber, perMs: isNumber, burst: isNumber, key: later };

const RATE_LIMITS: Checks<RateLimitOptions> = {
  ...RATE_LIMIT,
  methods: isPlain,
  store: (value) =>
    typeof Reflect.get(Object(value), "take") === "function" ? undefined : "must be a store, such as memoryRateLimit()",
};

const SHED: Checks<ShedOptions> = {
  ...{ maxConcurrent: isNumber, adaptive: isPlain, maxQueued: isNumber, maxWaitMs: isNumber },
  loopDelayMs: (value) => isNumber(value) ?? isPositive(value),
  trustCriticality: isFunction,
};

/** All that is wrong with a server's rate limits; `false` is for tests, where nobody is to be limited. */
export function rateLimitProblems(options: RateLimitOptions | false | undefined): string[] {
  if (options === undefined || options === false) return [];
  if (isPlain(options)) return [`rateLimit must be { calls, … }, or false; it is ${show(options)}`];
  const { methods, calls, perMs, burst, key } = options;
  const limit = Object.fromEntries(
    Object.entries({ calls, perMs, burst, key }).filter(([, value]) => value !== undefined),
  );
  return [
    ...checkOptions(options, RATE_LIMITS, "rateLimit."),
    ...(Object.keys(limit).length > 0 ? rateProblems(limit, "rateLimit.") : []),
    ...(isPlain(methods) ? [] : Object.entries(methods ?? {}).flatMap(methodProblems)),
  ];
}

function methodProblems([path, limit]: [string, RateLimitPolicy]): string[] {
  const name = `rateLimit.methods[${JSON.stringify(path)}]`;
  if (!/^\/[^/]+\/[^/]+$/.test(path)) return [`${name} must be a path, such as /package.Service/Method`];
  return isPlain(limit) ? [`${name} ${isPlain(limit)}`] : limitProblems(limit, `${name}.`);
}

/** All that is wrong with one limit. */
export function limitProblems(limit: RateLimitPolicy, within: string): string[] {
  return [...checkOptions(limit, RATE_LIMIT, within), ...rateProblems(limit, within)];
}

function rateProblems(limit: RateLimitPolicy, within: string): string[] {
  const found = valueProblems(limit, RATE_LIMIT, checkRateLimit);
  return found.map(({ path, message }) => named(within, path, message));
}

/** All that is wrong with when a server sheds; `false` is for tests, where nothing is to be refused. */
export function shedProblems(options: ShedOptions | false | undefined, within = "shed."): string[] {
  if (options === undefined || options === false) return [];
  if (isPlain(options)) return [`shed must be { maxConcurrent, … }, or false; it is ${show(options)}`];
  const found = valueProblems(options, SHED, checkShed);
  return [...checkOptions(options, SHED, within), ...found.map(({ path, message }) => named(within, path, message))];
}

/** A contract's problem in the words of options. */
function named(within: string, path: readonly string[], message: string): string {
  const rest = path.slice(1).join(".");
  const text = message.replace(/^rate_limit /, "").replaceAll(/"[^"]*"|\b[a-z]+(?:_[a-z]+)+\b/g, inCamelCase);
  return `${rest === "" ? within.replace(/\.$/, "") : `${within}${rest}`} ${text}`;
}

/** What stands in quotes is the user's own. */
function inCamelCase(name: string): string {
  if (name.startsWith('"')) return name;
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The limit that holds for a method by code; undefined if none does. */
export function limitOf(options: RateLimitOptions, path: string): RateLimitPolicy | undefined {
  const own = options.methods && Object.hasOwn(options.methods, path) ? options.methods[path] : undefined;
  return own ?? (options.calls === undefined ? undefined : options);
}

/**
 * What is wrong with limits of single methods once it is known which there are: a path that none has is a limit that
 * nobody keeps.
 *
 * @param paths of all methods that are served.
 */
export function unservedLimits(options: RateLimitOptions | false | undefined, paths: readonly string[]): string[] {
  const methods = options ? options.methods : undefined;
  if (methods === undefined || isPlain(methods)) return [];
  const unserved = Object.keys(methods).filter((path) => !paths.includes(path));
  const there = paths.length > 0 ? `there are ${paths.join(", ")}` : "no service was added";
  return unserved.map((path) => `rateLimit.methods[${JSON.stringify(path)}]: no such method is served; ${there}`);
}

/** A limit with its defaults, and a name that is equal on all replicas. */
export function namedLimit(path: string, policy: RateLimitPolicy) {
  const { calls, perMs, burst, key } = resolveRateLimit(policy);
  return { name: `${path} ${calls}/${perMs}/${burst} by ${key}`, calls, perMs, burst, key };
}
