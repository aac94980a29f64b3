import type { MethodPolicy } from "../../contract/policy.ts";
import { resolveHedge } from "../../contract/resolve.ts";
import type { Method } from "../../core/method.ts";
import type { ClientState } from "../client-state.ts";
import { hedgeLayer } from "../layers/hedge.ts";
import type { Layers } from "../pipeline.ts";
import { reportTo } from "../report.ts";

/** The layer of a hedge policy, if there is one. */
export function hedgeLayers(
  { hedge }: MethodPolicy,
  method: Method,
  state: ClientState,
  mostAttempts?: number,
): Layers {
  if (!hedge || method.responseStream) return {};
  const { clock, observer, target } = state.surroundings;
  const options = resolveHedge(hedge, mostAttempts);
  const pace = options.delayMs === undefined ? state.hedgePace(method.path) : undefined;
  const report = reportTo(observer, "hedge", target);
  return {
    retryOrHedge: hedgeLayer({ options, share: { ...state.retryShare, pace }, clock, report, closed: state.closed }),
  };
}
