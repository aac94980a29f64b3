import { hedgeLayer } from "../../src/client/layers/hedge.ts";
import { reportTo } from "../../src/client/report.ts";
import type { HedgePolicy, RetryBudgetPolicy, RetryThrottlingPolicy } from "../../src/contract/policy.ts";
import { resolveBudget, resolveHedge, resolveThrottling } from "../../src/contract/resolve.ts";
import type { Call, Reply } from "../../src/core/call.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { ObserverEvent } from "../../src/core/observer.ts";
import { Status } from "../../src/core/status.ts";
import { type FailedHedge, Hedge, type HedgeShare } from "../../src/policy/hedge.ts";
import { HedgePace } from "../../src/policy/hedge-pace.ts";
import { RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { listenersOf } from "./driven.ts";
import { FOREVER_MS } from "./machines.ts";
import { aCall, aReply } from "./scripted.ts";

/** What hedges are made with. */
export interface HedgeSetting extends HedgePolicy {
  /** The delay follows the method's latency. Default: it is 100 ms, or `delayMs`. */
  readonly adaptive?: boolean;
  readonly maxAttemptsLimit?: number;
  readonly retryThrottling?: RetryThrottlingPolicy;
  readonly retryBudget?: RetryBudgetPolicy;
}

/** What the calls of a method share, on a clock. */
function shared(setting: HedgeSetting, clock: FakeClock) {
  const { adaptive, maxAttemptsLimit, retryThrottling, retryBudget, ...said } = setting;
  const options = resolveHedge({ ...(!adaptive && { delayMs: 100 }), ...said }, maxAttemptsLimit);
  const share: HedgeShare = {
    throttling: new RetryThrottling(resolveThrottling(retryThrottling)),
    budget: new RetryBudget(resolveBudget(retryBudget), clock),
    pace: options.delayMs === undefined ? new HedgePace(clock) : undefined,
  };
  return { options, share };
}

/** What the calls of a method that is hedged share, and one more of its calls. */
export interface HedgesUnderTest {
  readonly share: HedgeShare;
  readonly clock: FakeClock;
  /** @param maxAttempts what the call itself allows. */
  call(maxAttempts?: number, deadline?: number): Hedge;
}

/** Calls that are hedged after 100 ms. */
export function hedges(setting: HedgeSetting = {}): HedgesUnderTest {
  const clock = fakeClock();
  const { options, share } = shared(setting, clock);
  const call = (maxAttempts = FOREVER_MS, deadline = FOREVER_MS) => {
    const startedAt = clock.now();
    share.budget.call(startedAt);
    const delayMs = share.pace?.call(startedAt) ?? options.delayMs ?? FOREVER_MS;
    return new Hedge(options, share, clock, { startedAt, deadline, delayMs, maxAttempts });
  };
  return { share, clock, call };
}

/** An attempt that failed: UNAVAILABLE without headers, unless something else is said. */
export function aLoss(changes: Partial<FailedHedge> = {}): FailedHedge {
  const plain = { committed: false, pushbackMs: undefined, rejected: false, drained: false, expired: false };
  return { code: Status.UNAVAILABLE, ...plain, ...changes };
}

/** An attempt in the test's hands. */
export interface HeldAttempt {
  readonly call: Call;
  readonly cancelledWith: () => unknown;
  reply(message: unknown): void;
  fail(error: unknown): void;
}

/** What a layer that hedges is made with. */
export interface Hedging extends HedgeSetting {
  /** The layer's own clock, made from the test's. Default: that one. */
  readonly clockOf?: (clock: FakeClock) => Clock;
  /** Attempts go on when they are cancelled. Default: they end at once. */
  readonly heedless?: boolean;
}

/** A layer that hedges, its clock, what its calls share, and what it tells. */
export function hedging({ clockOf, heedless, ...setting }: Hedging = {}) {
  const clock = fakeClock();
  const events: ObserverEvent[] = [];
  const controller = new AbortController();
  const closing = new AbortController();
  const { options, share } = shared(setting, clock);
  const report = reportTo((event) => void events.push(event), "hedge");
  const context = { options, share, clock: clockOf?.(clock) ?? clock, report, closed: closing.signal };
  const attempts: HeldAttempt[] = [];
  const handler = hedgeLayer(context).unary((call) => {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const { signal } = call;
    let cancelledWith: unknown;
    const onAbort = () => {
      cancelledWith = signal?.reason;
      if (!heedless) reject(signal?.reason);
    };
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
    const end = () => signal?.removeEventListener("abort", onAbort);
    promise.then(end, end);
    attempts.push({
      call,
      cancelledWith: () => cancelledWith,
      reply: (message) => resolve(aReply(message)),
      fail: reject,
    });
    return promise;
  }, aCall().method);
  /** Makes a call: what it ends with. */
  const start = (changes: Partial<Call> = {}) => {
    const outcome = handler(aCall({ signal: controller.signal, startedAt: clock.now(), ...changes })).then(
      ({ message }) => message,
    );
    outcome.catch(() => {});
    return outcome;
  };
  const attempt = (number: number): HeldAttempt => {
    const found = attempts[number - 1];
    if (!found) throw new Error(`there is no attempt ${number}, but ${attempts.length}`);
    return found;
  };
  return {
    ...{ clock, share, events, controller, closing, attempts, attempt, start },
    left: () => ({
      timers: clock.pending,
      listeners: listenersOf(controller.signal) + listenersOf(closing.signal),
      permits: share.budget.snapshot().inFlight,
    }),
  };
}
