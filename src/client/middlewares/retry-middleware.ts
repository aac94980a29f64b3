import type { ClientMiddleware } from "nice-grpc-common";
import { isNumber, optionProblems, wellTyped } from "../../contract/option-problems.ts";
import type { RetryPolicy } from "../../contract/policy.ts";
import { checkRetry } from "../../contract/validate.ts";
import { isFunction, isOneOf, type OptionCheck } from "../../core/check-options.ts";
import { systemClock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import { type Random, systemRandom } from "../../core/random.ts";
import { ClientState } from "../client-state.ts";
import { aroundNice, niceMiddleware } from "../nice-pipeline.ts";
import { retryLayers } from "../policy-layers/method-layers.ts";
import {
  ATTEMPTS_CHECKS,
  ATTEMPTS_OWN,
  type AttemptsCallOptions,
  type AttemptsOptions,
  isRepeatable,
  shareProblems,
} from "./attempts-middleware.ts";
import { areNames, perMethod } from "./single-policy.ts";

/** What `retry()` takes: a retry policy, and what its calls share. */
export interface RetryMiddlewareOptions extends RetryPolicy, AttemptsOptions {
  /** Is told of each retry that is scheduled or denied. Default: nobody is. */
  readonly observer?: Observer | undefined;
  /** For tests. Default: the machine's. */
  readonly random?: Random | undefined;
}

/** What `retry()` adds to nice-grpc's call options. */
export type RetryCallOptions = AttemptsCallOptions;

const backoff = { initialBackoffMs: isNumber, maxBackoffMs: isNumber, multiplier: isNumber };
const OPTIONS: Readonly<Record<keyof RetryMiddlewareOptions, OptionCheck>> = {
  ...ATTEMPTS_CHECKS,
  ...{ ...backoff, attemptTimeoutMs: isNumber, codes: areNames, random: isFunction },
  jitter: isOneOf("full", "equal", "decorrelated", "a6"),
};

/**
 * Retries as one nice-grpc client middleware: `createClientFactory().use(retry({ maxAttempts: 3 }))`. By gRFC A6 and
 * rules R1 to R11, for unary calls, and for server-streams until their headers; only for methods whose
 * `idempotency_level` makes it safe, and for unary calls that come with an idempotency key: others pass untouched. A
 * sent message of a stream cannot be sent again. Make one per channel: throttle and budget are its own.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function retry(options: RetryMiddlewareOptions = {}): ClientMiddleware<RetryCallOptions> {
  const problems = problemsOf(options);
  if (problems.length > 0) throw new TypeError(`retry: ${problems.join("; ")}`);
  const { retryThrottling, retryBudget, clock = systemClock, random = systemRandom, observer } = options;
  const state = new ClientState({ clock, random, observer, target: undefined }, retryThrottling, retryBudget);
  const find = perMethod((method) => ({
    method,
    retried: aroundNice(method, retryLayers({ retry: options }, state, options.maxAttemptsLimit), clock),
  }));
  return niceMiddleware((described, callOptions) => {
    const { method, retried } = find(described);
    return !method.requestStream && isRepeatable(method, callOptions) ? retried : undefined;
  }, ATTEMPTS_OWN);
}

function problemsOf(options: RetryMiddlewareOptions): string[] {
  return [...optionProblems(options, OPTIONS, checkRetry), ...shareProblems(wellTyped(options, OPTIONS))];
}
