import type { ClientMiddleware } from "nice-grpc-common";
import { isNumber, optionProblems } from "../../contract/option-problems.ts";
import type { BreakerPolicy } from "../../contract/policy.ts";
import { failureCodes } from "../../contract/resolve.ts";
import { checkBreaker } from "../../contract/validate.ts";
import { isFunction, isObject, isOneOf, type OptionCheck } from "../../core/check-options.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { notify, type Observer } from "../../core/observer.ts";
import { type Random, systemRandom } from "../../core/random.ts";
import { tell } from "../../core/warning.ts";
import type { BreakerPermit } from "../../policy/breaker-permit.ts";
import type { Breakers } from "../../policy/breaker-set.ts";
import { settle } from "../../policy/breaker-verdict.ts";
import { keepBreakers } from "../breakers-of.ts";
import { ClientState } from "../client-state.ts";
import { breakerLayer, rejected } from "../layers/breaker.ts";
import { aroundNice, niceMiddleware, type OwnOptions } from "../nice-pipeline.ts";
import { reportTo } from "../report.ts";
import { areNames, perMethod } from "./single-policy.ts";

/** What `circuitBreaker()` takes. A limit for slow calls has no default here: `slowMs` must be given. */
export interface CircuitBreakerOptions extends Omit<BreakerPolicy, "disabled"> {
  /**
   * With `run`: whether what was thrown is a failure of what is guarded. Default: an `RpcError` or nice-grpc
   * `ClientError` by its status, an abort is nobody's failure, and everything else is one.
   */
  readonly isFailure?: ((error: unknown) => boolean) | undefined;
  /** Is told when breakers open and close, and of the calls that they reject. Default: nobody is. */
  readonly observer?: Observer | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** For tests. Default: the machine's. */
  readonly random?: Random | undefined;
}

/** A circuit breaker to call things through, and a nice-grpc client middleware. */
export interface CircuitBreaker extends ClientMiddleware, Breakers {
  /**
   * Runs `work` unless the breaker is open.
   *
   * @param name which of its breakers; each name has its own. Default: `"run"`.
   * @throws RpcError with reason `BREAKER_OPEN`, without running `work`; and whatever `work` throws.
   */
  run<T>(work: () => T | Promise<T>, name?: string): Promise<T>;
}

const OWN_OPTIONS: OwnOptions = { signal: true, metadata: true, onHeader: true, onTrailer: true };

const ratios = { failureRatio: isNumber, slowRatio: isNumber };
const counts = { windowCalls: isNumber, minimumCalls: isNumber, trials: isNumber };
const times = { slowMs: isNumber, windowMs: isNumber, openMs: isNumber, maxOpenMs: isNumber, trialTimeoutMs: isNumber };
const OPTIONS: Readonly<Record<keyof CircuitBreakerOptions, OptionCheck>> = {
  ...{ ...ratios, ...counts, ...times, scope: isOneOf("method", "service"), codes: areNames },
  ...{ isFailure: isFunction, observer: isFunction, clock: isObject, random: isFunction },
};

/**
 * A circuit breaker by itself (rules B1 to B7): around anything, `circuitBreaker({ … }).run(() => fetch(url))`, or as one
 * nice-grpc client middleware, `createClientFactory().use(circuitBreaker())`. As a middleware it keeps a breaker for
 * each method, or with `scope: "service"` one for each service; make one per channel, since it cannot see the target.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function circuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  const problems = optionProblems(options, OPTIONS, checkBreaker);
  if (problems.length > 0) throw new TypeError(`circuitBreaker: ${problems.join("; ")}`);
  const { clock = systemClock, random = systemRandom, observer, isFailure } = options;
  const state = new ClientState({ clock, random, observer, target: undefined });
  const codes = failureCodes(options);
  const slowMs = options.slowMs ?? Number.POSITIVE_INFINITY;
  const report = reportTo(observer, "breaker");
  const find = perMethod((method) => {
    const breaker = state.breaker(options.scope === "service" ? method.service : method.path, options);
    return aroundNice(method, { breaker: breakerLayer({ breaker, codes, slowMs, clock, report }) }, clock);
  });
  const judge = (permit: BreakerPermit, error: unknown) => {
    if (isFailure) return permit[isFailure(error) ? "failure" : "success"]();
    const known = RpcError.from(error);
    if (known.reason === "UNEXPECTED") permit.failure();
    else settle(permit, known, codes);
  };
  const run: CircuitBreaker["run"] = async (work, name = "run") => {
    if (typeof work !== "function") throw new TypeError(`circuitBreaker: run takes a function; it got ${work}`);
    const permit = state.breaker(name, options).tryAcquire();
    if (!permit.granted) {
      const { state, retryAfterMs } = permit;
      const detail = { name, state, ...(retryAfterMs !== undefined && { retryAfterMs }) };
      if (observer) notify(observer, { type: "policy", policy: "breaker", action: "rejected", detail });
      throw rejected(name === "run" ? "" : name, permit);
    }
    try {
      const result = await work();
      permit.success();
      return result;
    } catch (error) {
      tell("isFailure threw", () => judge(permit, error));
      // If it threw, the permit is still out.
      permit.ignore();
      throw error;
    }
  };
  const { breakers } = state;
  const middleware = Object.assign(niceMiddleware(find, OWN_OPTIONS), {
    run,
    snapshot: () => breakers.snapshot(),
    forceOpen: (name?: string) => breakers.forceOpen(name),
    forceClosed: (name?: string) => breakers.forceClosed(name),
    disable: (name?: string) => breakers.disable(name),
    reset: (name?: string) => breakers.reset(name),
  });
  return keepBreakers(middleware, breakers);
}
