import type { ClientMiddleware } from "nice-grpc-common";
import { isNumber, valueProblems } from "../../contract/option-problems.ts";
import type { HeartbeatPolicy } from "../../contract/policy.ts";
import { checkHeartbeat } from "../../contract/validate-streams.ts";
import { arePaths, checkOptions, isFunction, isObject, type OptionCheck } from "../../core/check-options.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { Observer } from "../../core/observer.ts";
import { systemRandom } from "../../core/random.ts";
import { ClientState } from "../client-state.ts";
import { aroundNice, niceMiddleware, type OwnOptions } from "../nice-pipeline.ts";
import { streamLayers } from "../policy-layers/stream-layers.ts";
import { isName, perMethod } from "./single-policy.ts";

/** What `stall()` takes: a heartbeat policy, its field by its name in the generated message. */
export interface StallMiddlewareOptions extends HeartbeatPolicy {
  /**
   * The streams that have heartbeats, by path: `/shop.orders.v1.OrderService/WatchOrders`. Any other would be taken for
   * stalled when it is merely quiet. No default.
   */
  readonly methods: readonly string[];
  /** Is told of each stream that stalls. Default: nobody is. */
  readonly observer?: Observer | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

const OWN_OPTIONS: OwnOptions = { signal: true, metadata: true, onHeader: true, onTrailer: true };

const OPTIONS: Readonly<Record<keyof StallMiddlewareOptions, OptionCheck>> = {
  ...{ field: isName, intervalMs: isNumber, missed: isNumber, methods: arePaths },
  ...{ observer: isFunction, clock: isObject },
};

/**
 * Stall detection as one nice-grpc client middleware: `createClientFactory().use(stall({ methods, field: "heartbeat" }))`.
 * A stream on which neither a message nor a heartbeat comes for three intervals ends with UNAVAILABLE and reason
 * `STALLED` (rule S6); heartbeats, which have the field true, are not handed on. With `resume()`, put that one outside:
 * `.use(stall(…)).use(resume(…))`.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function stall(options: StallMiddlewareOptions): ClientMiddleware {
  const problems = problemsOf(options);
  if (problems.length > 0) throw new TypeError(`stall: ${problems.join("; ")}`);
  const { field, methods, clock = systemClock, observer } = options;
  const state = new ClientState({ clock, random: systemRandom, observer, target: undefined });
  const find = perMethod((method) =>
    method.responseStream && methods.includes(method.path)
      ? aroundNice(method, streamLayers({ heartbeat: options, marked: { field } }, state), clock)
      : undefined,
  );
  return niceMiddleware(find, OWN_OPTIONS);
}

function problemsOf(options: StallMiddlewareOptions): string[] {
  const missing = [
    ...(options?.methods === undefined ? ["methods is missing: name the streams, by path"] : []),
    ...(options?.field === undefined ? ["field is missing: name the field of the generated message"] : []),
  ];
  return [
    ...checkOptions(options, OPTIONS),
    ...missing,
    ...valueProblems(options, OPTIONS, checkHeartbeat).map(
      ({ path, message }) => `${path.slice(1).join(".")} ${message}`,
    ),
  ];
}
