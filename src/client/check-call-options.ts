import type { CallOptionName, CallOptions } from "../core/call-options.ts";
import {
  isBoolean,
  isCount,
  isFunction,
  isObject,
  isOneOf,
  isText,
  type OptionCheck,
  show,
} from "../core/check-options.ts";
import { CRITICALITIES } from "../core/criticality.ts";
import { keyProblem } from "../core/idempotency.ts";
import type { Method } from "../core/method.ts";

/** What a check goes by besides. */
type Called = Pick<Method, "path" | "requestStream" | "responseStream">;

/**
 * Looks at what is said for one call.
 *
 * @param sendsKeys whether the method's calls are sent with an idempotency key.
 * @throws TypeError that lists everything that is wrong with it; nothing has been done for the call then.
 */
export type CallOptionsCheck = (options: CallOptions, method: Called, sendsKeys: boolean) => void;

/** What has passed is no mistake, but `DEADLINE_BEFORE_SEND`: it is computed from what is left. */
const isTime: OptionCheck = (value) =>
  typeof value === "number" && !Number.isNaN(value)
    ? undefined
    : `must be a number of milliseconds; it is ${show(value)}`;

const isDate: OptionCheck = (value) =>
  value instanceof Date && !Number.isNaN(value.getTime())
    ? undefined
    : `must be a Date (timeoutMs takes milliseconds); it is ${show(value)}`;

/** Of which class, no matter: there are polyfills. */
const isSignal: OptionCheck = (value) =>
  typeof (value as Partial<AbortSignal> | null)?.addEventListener === "function"
    ? undefined
    : `must be an AbortSignal; it is ${show(value)}`;

const CHECKS: Readonly<Record<CallOptionName, OptionCheck>> = {
  // What of it cannot be sent is found where it is read.
  metadata: () => undefined,
  ...{ signal: isSignal, timeoutMs: isTime, deadline: isDate, inherit: isBoolean, waitForReady: isBoolean },
  ...{ idempotencyKey: keyProblem, criticality: isOneOf(...CRITICALITIES), retry: isBoolean, maxAttempts: isCount },
  ...{ partition: isText, cache: isBoolean },
  ...{ onExpired: isFunction, onCached: isFunction, onHeader: isFunction, onTrailer: isFunction },
};

/**
 * The one check of call options, for whoever takes these: a client all of ours, a middleware by itself its own. All
 * others belong to middlewares, and pass. An option that is undefined is left out.
 */
export function callOptionsCheck(own: Readonly<Partial<Record<CallOptionName, true>>>): CallOptionsCheck {
  const checks = new Map<string, OptionCheck>(Object.entries(CHECKS).filter(([name]) => Object.hasOwn(own, name)));
  return (options, method, sendsKeys) => {
    if (isObject(options)) throw new TypeError(`${method.path}: the options must be an object; they are ${options}`);
    let problems: string[] | undefined;
    // What is inherited too, since it is read; and without an array of names or pairs, for each call.
    for (const name in options) {
      const value: unknown = options[name as CallOptionName];
      const check = value === undefined ? undefined : checks.get(name);
      if (!check) continue;
      const problem = name === "idempotencyKey" && !sendsKeys ? unsentKey(method) : check(value);
      if (problem) problems = [...(problems ?? []), `${name} ${problem}`];
    }
    if (problems) throw new TypeError(`${method.path}: ${problems.join("; ")}`);
  };
}

/** Whoever gives a key takes the call to be safe to repeat. */
function unsentKey({ requestStream, responseStream }: Called): string {
  if (requestStream || responseStream) return "is for unary methods alone: this one streams, and no key would be sent";
  return (
    "would not be sent, and a repetition be done twice: give the method an idempotency_key in its contract, or, " +
    "where its server takes keys all the same, use idempotencyKey()"
  );
}
