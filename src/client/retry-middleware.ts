import type { ClientMiddleware } from "nice-grpc-common";
import type { RetryBudgetPolicy, RetryPolicy, RetryThrottlingPolicy } from "../contract/policy.ts";
import { checkRetry } from "../contract/validate.ts";
import type { CallOptions } from "../core/call-options.ts";
import { checkOptions, isCount, isFunction, isObject, type OptionCheck } from "../core/check-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import type { Method } from "../core/method.ts";
import type { Observer } from "../core/observer.ts";
import { type Random, systemRandom } from "../core/random.ts";
import { ClientState } from "./client-state.ts";
import { retryLayers } from "./method-layers.ts";
import { aroundNice, niceMiddleware, type OwnOptions } from "./nice-pipeline.ts";
import {
  areNames,
  budgetProblems,
  isNumber,
  isOneOf,
  perMethod,
  throttlingProblems,
  wellTyped,
} from "./single-policy.ts";

/** What `retry()` takes: a retry policy, and what its calls share. */
export interface RetryMiddlewareOptions extends RetryPolicy {
  /** Above how many attempts `maxAttempts` is taken as this many. Default: 5 (gRFC A6). */
  readonly maxAttemptsLimit?: number;
  /** When failures stop all retries (gRFC A6). Default: 10 tokens, 0.1 back for a success. */
  readonly retryThrottling?: RetryThrottlingPolicy;
  /** How many retries there may be. Default: 10 % of the calls in 10 s, and 3 under way at any time. */
  readonly retryBudget?: RetryBudgetPolicy;
  /** Is told of each retry that is scheduled or denied. Default: nobody is. */
  readonly observer?: Observer;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock;
  /** For tests. Default: the machine's. */
  readonly random?: Random;
}

/** What `retry()` adds to nice-grpc's call options. */
export type RetryCallOptions = Pick<CallOptions, "retry" | "maxAttempts">;

const OWN_OPTIONS: OwnOptions = {
  retry: true,
  maxAttempts: true,
  signal: true,
  metadata: true,
  onHeader: true,
  onTrailer: true,
};

const backoff = { initialBackoffMs: isNumber, maxBackoffMs: isNumber, multiplier: isNumber };
const OPTIONS: Readonly<Record<keyof RetryMiddlewareOptions, OptionCheck>> = {
  ...{ ...backoff, maxAttempts: isNumber, attemptTimeoutMs: isNumber, codes: areNames },
  ...{ jitter: isOneOf("full", "equal", "decorrelated", "a6"), maxAttemptsLimit: isCount },
  ...{ retryThrottling: isObject, retryBudget: isObject, observer: isFunction, clock: isObject, random: isFunction },
};

/**
 * Retries as one nice-grpc client middleware: `createClientFactory().use(retry({ maxAttempts: 3 }))`. By gRFC A6 and
 * rules R1 to R11, for unary calls, and for server-streams until their headers; only for methods whose
 * `idempotency_level` makes it safe: calls of others pass untouched. Make one per channel: throttle and budget are its
 * own.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function retry(options: RetryMiddlewareOptions = {}): ClientMiddleware<RetryCallOptions> {
  const problems = problemsOf(options);
  if (problems.length > 0) throw new TypeError(`retry: ${problems.join("; ")}`);
  const { retryThrottling, retryBudget, clock = systemClock, random = systemRandom, observer } = options;
  const state = new ClientState({ clock, random, observer, target: undefined }, retryThrottling, retryBudget);
  const find = perMethod((method) =>
    isSafe(method)
      ? aroundNice(method, retryLayers({ retry: options }, state, options.maxAttemptsLimit), clock)
      : undefined,
  );
  return niceMiddleware(find, OWN_OPTIONS);
}

function problemsOf(options: RetryMiddlewareOptions): string[] {
  const known = wellTyped(options, OPTIONS);
  return [
    ...checkOptions(options, OPTIONS),
    ...checkRetry(known).map(({ path, message }) => `${path.slice(1).join(".")} ${message}`),
    ...throttlingProblems(known.retryThrottling),
    ...budgetProblems(known.retryBudget),
  ];
}

/** A sent message of a stream cannot be sent again. */
function isSafe({ idempotency, requestStream }: Method): boolean {
  return idempotency !== "UNKNOWN" && !requestStream;
}
