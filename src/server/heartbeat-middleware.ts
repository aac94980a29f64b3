import type { CallContext, ServerMiddleware } from "nice-grpc-common";
import { resolveStall } from "../contract/resolve.ts";
import { checkHeartbeat } from "../contract/validate-streams.ts";
import { arePaths, checkOptions, isFunction, isObject, type OptionCheck, show } from "../core/check-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { withHeartbeats } from "./heartbeat-stream.ts";

/** What `heartbeat()` takes: `methods`, and either `field` or `message`. */
export interface HeartbeatMiddlewareOptions {
  /**
   * The streams that have heartbeats, by path: `/shop.orders.v1.OrderService/WatchOrders`. A middleware sees every
   * stream of its server, and most have no field for a heartbeat. No default.
   */
  readonly methods: readonly string[];
  /**
   * The response's bool that marks a heartbeat, by its key in ts-proto's message: the heartbeat is `{ [field]: true }`,
   * which nice-grpc completes.
   */
  readonly field?: string | undefined;
  /** Makes a heartbeat where an object with `field` is none, as with google-protobuf's classes. */
  readonly message?: (() => unknown) | undefined;
  /** After how many milliseconds without a message there is a heartbeat; at least 10. Default: 10,000. */
  readonly intervalMs?: number | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

const OPTIONS: Readonly<Record<keyof HeartbeatMiddlewareOptions, OptionCheck>> = {
  methods: arePaths,
  field: (value) => (typeof value === "string" && value !== "" ? undefined : `must name a field; it is ${show(value)}`),
  message: isFunction,
  intervalMs: (value) =>
    typeof value === "number"
      ? checkHeartbeat({ intervalMs: value })[0]?.message
      : `must be a number; it is ${show(value)}`,
  clock: isObject,
};

/**
 * Heartbeats as one nice-grpc server middleware (rule S6): `createServer().use(heartbeat({ methods, field }))`. When a
 * handler has had nothing to say for an interval, its client is sent a sign of life; the client's side takes it out
 * again, and notices when none comes. Middlewares that are used before this one see heartbeats as messages. Calls of
 * other methods pass untouched.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function heartbeat(options: HeartbeatMiddlewareOptions): ServerMiddleware {
  const problems = problemsOf(options);
  if (problems.length > 0) throw new TypeError(`heartbeat: ${problems.join("; ")}`);
  const { field = "", message = () => ({ [field]: true }), clock = systemClock } = options;
  const { intervalMs } = resolveStall(options);
  const paths = new Set(options.methods);
  return function heartbeats(call, context) {
    const open = (context: CallContext) => call.next(call.request as never, context);
    if (!call.responseStream || !paths.has(call.method.path)) return open(context);
    // Of a generator, nice-grpc needs the three methods.
    return withHeartbeats(context.signal, { clock, intervalMs, message }, (signal) =>
      open({ ...context, signal }),
    ) as ReturnType<typeof open>;
  };
}

function problemsOf(options: HeartbeatMiddlewareOptions): string[] {
  const problems = checkOptions(options, OPTIONS);
  const { methods, field, message } = options ?? {};
  if (methods === undefined) problems.push("methods is missing: name the streams, by path");
  if ((field === undefined) === (message === undefined)) problems.push("either field or message must be given");
  return problems;
}
