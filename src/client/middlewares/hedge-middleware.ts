import type { ClientMiddleware } from "nice-grpc-common";
import { isNumber, optionProblems, wellTyped } from "../../contract/option-problems.ts";
import type { HedgePolicy } from "../../contract/policy.ts";
import { checkHedge } from "../../contract/validate.ts";
import type { OptionCheck } from "../../core/check-options.ts";
import { systemClock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import { systemRandom } from "../../core/random.ts";
import { ClientState } from "../client-state.ts";
import { aroundNice, niceMiddleware } from "../nice-pipeline.ts";
import { hedgeLayers } from "../policy-layers/hedge-layers.ts";
import {
  ATTEMPTS_CHECKS,
  ATTEMPTS_OWN,
  type AttemptsCallOptions,
  type AttemptsOptions,
  isRepeatable,
  shareProblems,
} from "./attempts-middleware.ts";
import { areNames, perMethod } from "./single-policy.ts";

/** What `hedge()` takes: a hedge policy, and what its calls share. */
export interface HedgeMiddlewareOptions extends HedgePolicy, AttemptsOptions {
  /** Is told of each hedge that is sent, denied, cancelled, or wins. Default: nobody is. */
  readonly observer?: Observer | undefined;
}

/** What `hedge()` adds to nice-grpc's call options. */
export type HedgeCallOptions = AttemptsCallOptions;

const OPTIONS: Readonly<Record<keyof HedgeMiddlewareOptions, OptionCheck>> = {
  ...ATTEMPTS_CHECKS,
  ...{ delayMs: isNumber, nonFatalCodes: areNames },
};

/**
 * Hedging as one nice-grpc client middleware: `createClientFactory().use(hedge({ delayMs: 50 }))`. By gRFC A6 and rules
 * H1 to H4, for unary calls whose `idempotency_level` makes it safe, or that come with an idempotency key: all others
 * pass untouched. Make one per channel: throttle and budget are its own, and so is what it knows of how long each method
 * takes.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function hedge(options: HedgeMiddlewareOptions = {}): ClientMiddleware<HedgeCallOptions> {
  const problems = problemsOf(options);
  if (problems.length > 0) throw new TypeError(`hedge: ${problems.join("; ")}`);
  const { retryThrottling, retryBudget, clock = systemClock, observer } = options;
  const surroundings = { clock, random: systemRandom, observer, target: undefined };
  const state = new ClientState(surroundings, retryThrottling, retryBudget);
  const find = perMethod((method) => ({
    method,
    hedged: aroundNice(method, hedgeLayers({ hedge: options }, method, state, options.maxAttemptsLimit), clock),
  }));
  return niceMiddleware((described, callOptions) => {
    const { method, hedged } = find(described);
    return method.kind === "unary" && isRepeatable(method, callOptions) ? hedged : undefined;
  }, ATTEMPTS_OWN);
}

function problemsOf(options: HedgeMiddlewareOptions): string[] {
  return [...optionProblems(options, OPTIONS, checkHedge), ...shareProblems(wellTyped(options, OPTIONS))];
}
