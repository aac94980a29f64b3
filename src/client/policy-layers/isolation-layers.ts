import type { AdaptiveLimitPolicy, BulkheadPolicy, ThrottlePolicy } from "../../contract/policy.ts";
import { resolveBulkhead } from "../../contract/resolve.ts";
import type { Call } from "../../core/call.ts";
import type { Filled } from "../../core/check-options.ts";
import { CRITICALITY_KEY } from "../../core/criticality.ts";
import type { ClientState } from "../client-state.ts";
import { bulkheadLayer } from "../layers/bulkhead.ts";
import { throttleLayer } from "../layers/throttle.ts";
import type { Layers } from "../pipeline.ts";
import { reportTo } from "../report.ts";

/** What keeps the calls of one method from taking up everything. */
export interface IsolationPolicy {
  /** Of the method itself. */
  readonly bulkhead?: BulkheadPolicy | undefined;
  /** Of the target, as the next one. */
  readonly adaptiveLimit?: AdaptiveLimitPolicy | undefined;
  readonly throttle?: ThrottlePolicy | undefined;
}

/** A method without a bulkhead of its own is bounded by the target's limit alone. */
const UNBOUNDED: Filled<BulkheadPolicy> = {
  maxConcurrent: Number.POSITIVE_INFINITY,
  maxQueued: 0,
  maxWaitMs: Number.POSITIVE_INFINITY,
};

/**
 * The layers of one method that bound how much is under way, and how much is asked of a target that rejects.
 *
 * @param path the method's.
 */
export function isolationLayers(policy: IsolationPolicy, path: string, state: ClientState): Layers {
  return { ...throttleLayers(policy, state), ...bulkheadLayers(policy, path, state) };
}

function throttleLayers({ throttle: policy }: IsolationPolicy, state: ClientState): Layers {
  if (!policy) return {};
  const { observer, target } = state.surroundings;
  const throttleOf = (call: Call) => state.throttle(policy, call.headers?.[CRITICALITY_KEY]);
  return { throttle: throttleLayer({ throttleOf, report: reportTo(observer, "throttle", target) }) };
}

function bulkheadLayers(
  { bulkhead: policy, adaptiveLimit }: IsolationPolicy,
  path: string,
  state: ClientState,
): Layers {
  if (!policy && !adaptiveLimit) {
    state.freeBulkhead(path);
    return {};
  }
  const { clock, observer, target } = state.surroundings;
  const limit = adaptiveLimit && state.adaptiveLimit(adaptiveLimit);
  const { maxWaitMs, ...options } = policy ? resolveBulkhead(policy) : UNBOUNDED;
  const bulkhead = state.bulkhead(path, options, limit);
  const report = reportTo(observer, policy ? "bulkhead" : "adaptive-limit", target);
  return {
    bulkhead: bulkheadLayer({ bulkhead, limit, maxWaitMs, clock, closed: state.closed, waits: state.waits, report }),
  };
}
