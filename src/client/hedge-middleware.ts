import type { ClientMiddleware } from "nice-grpc-common";
import type { HedgePolicy, RetryBudgetPolicy, RetryThrottlingPolicy } from "../contract/policy.ts";
import { checkHedge } from "../contract/validate.ts";
import type { CallOptions } from "../core/call-options.ts";
import { checkOptions, isCount, isFunction, isObject, type OptionCheck } from "../core/check-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import type { Method } from "../core/method.ts";
import type { Observer } from "../core/observer.ts";
import { systemRandom } from "../core/random.ts";
import { ClientState } from "./client-state.ts";
import { hedgeLayers } from "./hedge-layers.ts";
import { aroundNice, niceMiddleware, type OwnOptions } from "./nice-pipeline.ts";
import { areNames, budgetProblems, isNumber, perMethod, throttlingProblems, wellTyped } from "./single-policy.ts";

/** What `hedge()` takes: a hedge policy, and what its calls share. */
export interface HedgeMiddlewareOptions extends HedgePolicy {
  /** Above how many attempts `maxAttempts` is taken as this many. Default: 5 (gRFC A6). */
  readonly maxAttemptsLimit?: number;
  /** When failures stop all hedges (gRFC A6). Default: 10 tokens, 0.1 back for a success. */
  readonly retryThrottling?: RetryThrottlingPolicy;
  /** How many hedges there may be. Default: 10 % of the calls in 10 s, and 3 under way at any time. */
  readonly retryBudget?: RetryBudgetPolicy;
  /** Is told of each hedge that is sent, denied, cancelled, or wins. Default: nobody is. */
  readonly observer?: Observer;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock;
}

/** What `hedge()` adds to nice-grpc's call options. */
export type HedgeCallOptions = Pick<CallOptions, "retry" | "maxAttempts">;

const OWN_OPTIONS: OwnOptions = {
  retry: true,
  maxAttempts: true,
  signal: true,
  metadata: true,
  onHeader: true,
  onTrailer: true,
};

const OPTIONS: Readonly<Record<keyof HedgeMiddlewareOptions, OptionCheck>> = {
  ...{ maxAttempts: isNumber, delayMs: isNumber, nonFatalCodes: areNames, maxAttemptsLimit: isCount },
  ...{ retryThrottling: isObject, retryBudget: isObject, observer: isFunction, clock: isObject },
};

/**
 * Hedging as one nice-grpc client middleware: `createClientFactory().use(hedge({ delayMs: 50 }))`. By gRFC A6 and rules
 * H1 to H4, for unary calls whose `idempotency_level` makes it safe: all others pass untouched. Make one per channel:
 * throttle and budget are its own, and so is what it knows of how long each method takes.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function hedge(options: HedgeMiddlewareOptions = {}): ClientMiddleware<HedgeCallOptions> {
  const problems = problemsOf(options);
  if (problems.length > 0) throw new TypeError(`hedge: ${problems.join("; ")}`);
  const { retryThrottling, retryBudget, clock = systemClock, observer } = options;
  const surroundings = { clock, random: systemRandom, observer, target: undefined };
  const state = new ClientState(surroundings, retryThrottling, retryBudget);
  const find = perMethod((method) =>
    isSafe(method)
      ? aroundNice(method, hedgeLayers({ hedge: options }, method, state, options.maxAttemptsLimit), clock)
      : undefined,
  );
  return niceMiddleware(find, OWN_OPTIONS);
}

function problemsOf(options: HedgeMiddlewareOptions): string[] {
  const known = wellTyped(options, OPTIONS);
  return [
    ...checkOptions(options, OPTIONS),
    ...checkHedge(known).map(({ path, message }) => `${path.slice(1).join(".")} ${message}`),
    ...throttlingProblems(known.retryThrottling),
    ...budgetProblems(known.retryBudget),
  ];
}

function isSafe({ idempotency, kind }: Method): boolean {
  return idempotency !== "UNKNOWN" && kind === "unary";
}
