import { Metadata } from "nice-grpc-common";
import { retryLayer } from "../../src/client/layers/retry.ts";
import { reportTo } from "../../src/client/report.ts";
import type { RetryBudgetPolicy, RetryPolicy, RetryThrottlingPolicy } from "../../src/contract/policy.ts";
import { resolveBudget, resolveRetry, resolveThrottling } from "../../src/contract/resolve.ts";
import type { Layer } from "../../src/core/call.ts";
import type { Clock } from "../../src/core/clock.ts";
import { RpcError, type RpcErrorInit } from "../../src/core/errors.ts";
import type { ObserverEvent } from "../../src/core/observer.ts";
import type { RetryShare } from "../../src/policy/retry.ts";
import { RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { listenersOf, startingNow } from "./driven.ts";

/** What a retry layer is made with. */
export interface Retrying extends RetryPolicy {
  readonly retryThrottling?: RetryThrottlingPolicy;
  readonly retryBudget?: RetryBudgetPolicy;
  /** The layer's own clock, made from the test's. Default: that one. */
  readonly clockOf?: (clock: FakeClock) => Clock;
}

/** A retry layer whose waits are 50, 100, 200 … ms, with its clock, what its calls share, and what it tells. */
export function retrying({ retryThrottling, retryBudget, clockOf, ...policy }: Retrying = {}): {
  layer: Layer;
  clock: FakeClock;
  share: RetryShare;
  events: ObserverEvent[];
  controller: AbortController;
  /** Aborts when the client is closed. */
  closing: AbortController;
  left(): object;
} {
  const clock = fakeClock();
  const events: ObserverEvent[] = [];
  const controller = new AbortController();
  const closing = new AbortController();
  const share = {
    throttling: new RetryThrottling(resolveThrottling(retryThrottling)),
    budget: new RetryBudget(resolveBudget(retryBudget), clock),
  };
  const layer = startingNow(
    retryLayer({
      options: resolveRetry({ initialBackoffMs: 100, ...policy }),
      share,
      clock: clockOf?.(clock) ?? clock,
      random: () => 0.5,
      report: reportTo((event) => void events.push(event), "retry"),
      closed: closing.signal,
    }),
    clock,
  );
  return {
    ...{ layer, clock, share, events, controller, closing },
    left: () => ({
      timers: clock.pending,
      listeners: listenersOf(controller.signal),
      permits: share.budget.snapshot().inFlight,
    }),
  };
}

/** What a call that is over must have left behind. */
export const NOTHING_LEFT = { timers: 0, listeners: 0, permits: 0 };

/** An attempt's failure: UNAVAILABLE off the wire, unless something else is said. */
export function aFailure(changes: Partial<RpcErrorInit> = {}): RpcError {
  return new RpcError({ path: "/test.Service/unary", reason: "STATUS", code: 14, details: "down", ...changes });
}

/** A failure with the server's word on when to retry. */
export function aPushback(...values: string[]): RpcError {
  const trailer = new Metadata();
  for (const value of values) trailer.append("grpc-retry-pushback-ms", value);
  return aFailure({ trailer });
}

/** What a policy's events say. */
export function toldOf(events: readonly ObserverEvent[]): unknown[] {
  return events.map((event) => (event.type === "policy" ? [event.policy, event.action, event.detail] : event.type));
}
