import type { Place } from "../../src/client/pipeline.ts";
import { type IsolationPolicy, isolationLayers } from "../../src/client/policy-layers/isolation-layers.ts";
import type { AdaptiveLimitPolicy } from "../../src/contract/policy.ts";
import { resolveAdaptiveLimit } from "../../src/contract/resolve.ts";
import type { Layer } from "../../src/core/call.ts";
import type { ObserverEvent } from "../../src/core/observer.ts";
import type { Random } from "../../src/core/random.ts";
import { AdaptiveLimit } from "../../src/policy/adaptive-limit.ts";
import type { Bulkhead, BulkheadPermit, BulkheadPlace, BulkheadRejection } from "../../src/policy/bulkhead.ts";
import { type FakeClock, fakeClock } from "../../src/testing/index.ts";
import { aClientState } from "./client-state.ts";
import { startingNow } from "./driven.ts";

/** Leave that there must be. */
export function granted(bulkhead: Bulkhead): BulkheadPermit {
  const entry = bulkhead.tryAcquire();
  if (!entry.granted) throw new Error("a permit was expected");
  return entry;
}

/** A place in the queue that there must be, and the permits that it was given. */
export function queued(bulkhead: Bulkhead): BulkheadPlace & { readonly permits: BulkheadPermit[] } {
  const place = bulkhead.tryAcquire();
  if (place.granted || !place.queued) throw new Error("a place in the queue was expected");
  const permits: BulkheadPermit[] = [];
  place.onTurn((permit) => permits.push(permit));
  return Object.assign(place, { permits });
}

/** A rejection that there must be. */
export function refused(bulkhead: Bulkhead): BulkheadRejection {
  const entry = bulkhead.tryAcquire();
  if (entry.granted || entry.queued) throw new Error("a rejection was expected");
  return entry;
}

/** A limit under test: with its clock, and what it told of its changes. */
export function aLimit(policy: AdaptiveLimitPolicy = {}): {
  limit: AdaptiveLimit;
  clock: FakeClock;
  told: [number, number][];
} {
  const clock = fakeClock();
  const told: [number, number][] = [];
  const limit = new AdaptiveLimit(resolveAdaptiveLimit(policy), clock, (from, to) => told.push([from, to]));
  return { limit, clock, told };
}

/** One of the layers that isolate calls, with all that it goes by; each that it makes is another method's. */
export function isolating(place: Place & ("bulkhead" | "throttle"), policy: IsolationPolicy, random?: Random) {
  const stalls = { ms: 0 };
  const clock = Object.assign(fakeClock(), { stalledMs: () => stalls.ms });
  const events: ObserverEvent[] = [];
  const observer = (event: ObserverEvent) => void events.push(event);
  const state = aClientState({ clock, observer, ...(random && { random }) });
  let methods = 0;
  const layerOf = (): Layer => {
    methods += 1;
    const layer = isolationLayers(policy, `/a.Service/${methods}`, state)[place];
    if (!layer) throw new Error(`no layer at ${place}`);
    return startingNow(layer, clock);
  };
  return { layer: layerOf(), layerOf, clock, events, state, stalls };
}
