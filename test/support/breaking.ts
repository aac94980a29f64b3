import { breakerLayer } from "../../src/client/layers/breaker.ts";
import { reportTo } from "../../src/client/report.ts";
import type { BreakerPolicy } from "../../src/contract/policy.ts";
import { failureCodes } from "../../src/contract/resolve.ts";
import type { Layer } from "../../src/core/call.ts";
import type { ObserverEvent } from "../../src/core/observer.ts";
import type { Breaker } from "../../src/policy/breaker.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { aClientState } from "./client-state.ts";
import { startingNow } from "./driven.ts";

/**
 * A breaker layer whose breaker opens for exactly a second at the second failure of two calls, and lets one trial
 * through; with its clock, and what it tells.
 */
export function breaking(policy: BreakerPolicy = {}): {
  layer: Layer;
  clock: FakeClock;
  breaker: Breaker;
  events: ObserverEvent[];
  /** For how long the process has stood still. */
  stalls: { ms: number };
} {
  const stalls = { ms: 0 };
  const clock = Object.assign(fakeClock(), { stalledMs: () => stalls.ms });
  const events: ObserverEvent[] = [];
  const observer = (event: ObserverEvent) => void events.push(event);
  const merged = { minimumCalls: 2, openMs: 1_000, trials: 1, ...policy };
  const breaker = aClientState({ clock, observer }).breaker("/test.Service/unary", merged);
  const { slowMs = Number.POSITIVE_INFINITY } = policy;
  const report = reportTo(observer, "breaker");
  const layer = startingNow(breakerLayer({ breaker, codes: failureCodes(policy), slowMs, clock, report }), clock);
  return { layer, clock, breaker, events, stalls };
}
