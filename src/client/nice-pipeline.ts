import type { ClientMiddleware, ClientMiddlewareCall, CallOptions as NiceCallOptions } from "nice-grpc-common";
import type { CallOptions } from "../core/call-options.ts";
import type { Clock } from "../core/clock.ts";
import type { Method } from "../core/method.ts";
import { type NiceCarrier, niceAttempt } from "../transport/index.ts";
import { type StreamMethod, streamMethod, type UnaryMethod, unaryMethod } from "./invoke.ts";
import { composeStream, composeUnary, type Layers } from "./pipeline.ts";

/** A method with its pipeline, as a middleware calls it. */
export type NiceMethod =
  | { readonly responseStream: false; readonly call: UnaryMethod }
  | { readonly responseStream: true; readonly call: StreamMethod };

/** Puts layers around what comes after a middleware. */
export function aroundNice(method: Method, layers: Layers, clock: Clock): NiceMethod {
  // Whether a call may be tried again hangs on whether its headers came.
  const attempt = niceAttempt(clock, layers.retryOrHedge !== undefined);
  return method.responseStream
    ? { responseStream: true, call: streamMethod(method, composeStream(layers, attempt, method), clock) }
    : { responseStream: false, call: unaryMethod(method, composeUnary(layers, attempt, method), clock) };
}

/** What this middleware takes for itself out of a call's options; the others are for whoever comes next. */
export type OwnOptions = Readonly<Partial<Record<keyof CallOptions, true>>>;

/**
 * A nice-grpc middleware out of pipelines.
 *
 * @param find the pipeline of a call, by its method and what is said for it; undefined lets it pass untouched.
 */
export function niceMiddleware<Ext>(
  find: (
    method: ClientMiddlewareCall<unknown, unknown>["method"],
    callOptions: NiceCallOptions,
  ) => NiceMethod | undefined,
  own: OwnOptions,
): ClientMiddleware<Ext> {
  return async function* bowline(call, callOptions) {
    const method = find(call.method, callOptions);
    if (!method) return yield* call.next(call.request, callOptions) as AsyncGenerator<never, never, undefined>;
    const options = callOptions as CallOptions;
    const carrier: NiceCarrier = { next: call.next as NiceCarrier["next"], options: foreignOptions(options, own) };
    if (method.responseStream) return yield* method.call(call.request, options, carrier) as AsyncIterable<never>;
    return (await method.call(call.request, options, carrier)) as never;
  };
}

const NO_OPTIONS: NiceCallOptions = Object.freeze({});

function foreignOptions(options: object, own: OwnOptions): NiceCallOptions {
  let foreign: Record<string, unknown> | undefined;
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(own, key)) continue;
    foreign ??= {};
    foreign[key] = Reflect.get(options, key);
  }
  return foreign ?? NO_OPTIONS;
}
