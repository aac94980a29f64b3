import type { ServerMiddleware, ServerMiddlewareCall } from "nice-grpc-common";
import type { RateLimitPolicy } from "../contract/server-policy.ts";
import { arePaths, checkOptions, isFunction, isObject, type OptionCheck, show } from "../core/check-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { RpcError } from "../core/errors.ts";
import { type Method, methodKind } from "../core/method.ts";
import type { Observer } from "../core/observer.ts";
import type { ServedEnd, ServerLayer } from "../core/served-call.ts";
import { Metadata } from "../transport/index.ts";
import { rateLimitLayer } from "./layers/rate-limit.ts";
import { shedLayer } from "./layers/shed.ts";
import { namedLimit, rateLimitProblems, type ShedOptions, shedProblems } from "./limits/load-options.ts";
import { memoryRateLimit, type RateLimitStore } from "./limits/rate-limit-store.ts";
import { gateOf } from "./limits/server-load.ts";
import { NiceContext } from "./nice-context.ts";
import { isOwnRefusal, toServerError } from "./server-error.ts";
import { type ServerOptions, writeError } from "./server-options.ts";

/** For which calls a middleware is, and whom it tells. */
interface Around {
  /** The methods that it is for, by path: `/shop.orders.v1.OrderService/GetOrder`. Default: all but gRPC's own. */
  readonly methods?: readonly string[] | undefined;
  /** Is told of each call that is refused. Default: nobody is. */
  readonly observer?: Observer | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** What `rateLimit()` takes. */
export interface RateLimitMiddlewareOptions extends RateLimitPolicy, Around {
  /** How many calls in the time of `perMs`, for long; greater than zero. No default. */
  readonly calls: number;
  /** Where buckets are kept. Default: `memoryRateLimit()`. */
  readonly store?: RateLimitStore | undefined;
  /** Is told when the store fails. Default: that is written to standard error. */
  readonly onError?: NonNullable<ServerOptions["onError"]> | undefined;
}

/** What `shed()` takes. */
export interface ShedMiddlewareOptions extends ShedOptions, Around {}

const AROUND: Readonly<Record<keyof Around, OptionCheck>> = {
  methods: arePaths,
  observer: isFunction,
  clock: isObject,
};

/**
 * A rate limit as one nice-grpc server middleware: `createServer().use(rateLimit({ calls: 10, perMs: 1_000 }))`. It holds
 * for each method by itself, and for each caller: what other middlewares have put into the context as `identity`, or
 * the peer's address without its port.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function rateLimit(options: RateLimitMiddlewareOptions): ServerMiddleware {
  if (isObject(options)) throw new TypeError(`rateLimit: the options must be { calls, … }; they are ${show(options)}`);
  const { methods, observer, clock = systemClock, onError = writeError, ...limit } = options;
  const missing = options.calls === undefined ? ["rateLimit.calls is missing: say how many calls there may be"] : [];
  const around = { methods, observer, clock: options.clock, onError: options.onError };
  check("rateLimit", [...missing, ...rateLimitProblems(limit)], around, { ...AROUND, onError: isFunction });
  const { store = memoryRateLimit({ clock }), ...policy } = limit;
  const limitsOf = ({ path }: Method) => [namedLimit(path, policy)];
  return asMiddleware(rateLimitLayer({ store, observer, onError, limitsOf }), methods, clock);
}

/**
 * Load shedding as one nice-grpc server middleware: `createServer().use(shed({ maxConcurrent: 50 }))`. One limit for all
 * of its methods; callers say how much their calls matter in the metadata `bowline-criticality`. Deadlines are seen
 * where nice-grpc's server has the `deadlineInterceptor`.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function shed(options: ShedMiddlewareOptions = {}): ServerMiddleware {
  const { methods, observer, clock = systemClock, ...settings } = options;
  check("shed", shedProblems(settings), { methods, observer, clock: options.clock }, AROUND);
  return asMiddleware(shedLayer(gateOf(settings, { shed: settings, clock, observer })), methods, clock);
}

function check(name: string, problems: readonly string[], around: object, checks: Record<string, OptionCheck>): void {
  const all = [...problems.map((problem) => problem.replaceAll(`${name}.`, "")), ...checkOptions(around, checks)];
  if (all.length > 0) throw new TypeError(`${name}: ${all.join("; ")}`);
}

type MethodDescriptor = ServerMiddlewareCall<unknown, unknown>["method"];

/** A layer around what comes after a middleware. */
function asMiddleware(layer: ServerLayer, paths: readonly string[] | undefined, clock: Clock): ServerMiddleware {
  const chosen = paths && new Set(paths);
  const isFor = (path: string) => chosen?.has(path) ?? !path.startsWith("/grpc.");
  const served = new Map<string, ReturnType<typeof around>>();
  return async function* limited(call, received) {
    const { path } = call.method;
    if (!isFor(path)) return yield* call.next(call.request as never, received);
    const { method, unary, stream } = served.get(path) ?? around(layer, call.method);
    served.set(path, { method, unary, stream });
    // Nothing is taken out of the metadata that the handler gets.
    const seen = { ...received, metadata: new Metadata(received.metadata) };
    const next = ((request: never) => call.next(request, received)) as NiceContext["next"];
    const context = new NiceContext(method, next, seen, clock);
    if ("identity" in received) Object.defineProperty(context, "identity", { value: received.identity });
    let end: ServedEnd = { outcome: "ok" };
    try {
      if (!call.responseStream) return (await unary(call.request, context)) as never;
      yield* stream(call.request, context) as AsyncIterable<never>;
    } catch (error) {
      end = { outcome: "error", error: RpcError.from(error) };
      throw isOwnRefusal(error) ? toServerError(error, received) : error;
    } finally {
      context.finish(end);
    }
  };
}

/** What a layer does with a method's calls. */
function around(layer: ServerLayer, descriptor: MethodDescriptor) {
  const method = asMethod(descriptor);
  const unary = layer.unary(async (request, context) => {
    const result = await (context as NiceContext).next(request, context).next();
    return result.value;
  }, method);
  return {
    method,
    unary,
    stream: layer.stream((request, context) => (context as NiceContext).next(request, context), method),
  };
}

/** nice-grpc has decoded requests, and encodes responses. */
const NO_CODEC = {
  encode(): never {
    throw new TypeError("nice-grpc encodes");
  },
  decode(): never {
    throw new TypeError("nice-grpc decodes");
  },
};

function asMethod({ path, requestStream, responseStream }: MethodDescriptor): Method {
  const [, service = "", name = ""] = path.split("/");
  const kind = methodKind(requestStream, responseStream);
  const codecs = { request: NO_CODEC, response: NO_CODEC };
  return { path, service, name, kind, requestStream, responseStream, idempotency: "UNKNOWN", ...codecs };
}
