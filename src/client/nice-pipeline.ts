import type { ClientMiddleware, ClientMiddlewareCall, CallOptions as NiceCallOptions } from "nice-grpc-common";
import type { CallOptionName, CallOptions } from "../core/call-options.ts";
import type { Clock } from "../core/clock.ts";
import type { Method } from "../core/method.ts";
import { type NiceCarrier, niceAttempt } from "../transport/index.ts";
import { callOptionsCheck } from "./check-call-options.ts";
import { type StreamMethod, streamMethod, type UnaryMethod, unaryMethod } from "./invoke.ts";
import { composeStream, composeUnary, type Layers } from "./pipeline.ts";

/** A method with its pipeline, as a middleware calls it. */
export type NiceMethod = {
  /** Whether a call may become several attempts. */
  readonly repeats: boolean;
  /** Whether calls are sent with an idempotency key. */
  readonly sendsKeys: boolean;
} & (
  | { readonly responseStream: false; readonly call: UnaryMethod }
  | { readonly responseStream: true; readonly call: StreamMethod }
);

/**
 * Puts layers around what comes after a middleware.
 *
 * @param maxMetadataBytes the most metadata of a request, in bytes as HTTP/2 counts them. Default: 56 KiB.
 */
export function aroundNice(method: Method, layers: Layers, clock: Clock, maxMetadataBytes?: number): NiceMethod {
  const repeats = layers.retryOrHedge !== undefined;
  // Whether a call may be tried again hangs on whether its headers came.
  const attempt = niceAttempt(clock, repeats, maxMetadataBytes);
  const facts = { repeats, sendsKeys: layers.idempotencyKey !== undefined };
  return method.responseStream
    ? { ...facts, responseStream: true, call: streamMethod(method, composeStream(layers, attempt, method), clock) }
    : { ...facts, responseStream: false, call: unaryMethod(method, composeUnary(layers, attempt, method), clock) };
}

/** What this middleware takes for itself out of a call's options; the others are for whoever comes next. */
export type OwnOptions = Readonly<Partial<Record<CallOptionName, true>>>;

/**
 * A nice-grpc middleware out of pipelines.
 *
 * @param find the pipeline of a call, by its method and what is said for it; undefined lets it pass untouched.
 * @param read what it reads of a call's options, and so looks at. Default: what it takes for itself.
 */
export function niceMiddleware<Ext>(
  find: (
    method: ClientMiddlewareCall<unknown, unknown>["method"],
    callOptions: NiceCallOptions,
  ) => NiceMethod | undefined,
  own: OwnOptions,
  read = own,
): ClientMiddleware<Ext> {
  const check = callOptionsCheck(read);
  return async function* bowline(call, callOptions) {
    const method = find(call.method, callOptions);
    if (!method) return yield* call.next(call.request, callOptions) as AsyncGenerator<never, never, undefined>;
    const options = callOptions as CallOptions;
    check(options, call.method, method.sendsKeys);
    const foreign = foreignOptions(options, own, method.repeats || isAttempt(options));
    const carrier: NiceCarrier = { next: call.next as NiceCarrier["next"], options: foreign };
    if (method.responseStream) return yield* method.call(call.request, options, carrier) as AsyncIterable<never>;
    return (await method.call(call.request, options, carrier)) as never;
  };
}

/**
 * Marks the options that attempts are handed on with, the first one too, for those that stand inside of what repeats
 * calls. Never sent, and unlike `grpc-previous-rpc-attempts`, which is, nothing that a gateway hands on by mistake.
 */
const ATTEMPT = Symbol("bowline.attempt");

/** Whether a call comes from what may repeat it: it is one of possibly several attempts. */
export function isAttempt(options: object): boolean {
  return Reflect.get(options, ATTEMPT) === true;
}

const NO_OPTIONS: NiceCallOptions = Object.freeze({});
const ATTEMPT_ALONE: NiceCallOptions & { readonly [ATTEMPT]: true } = Object.freeze({ [ATTEMPT]: true });

function foreignOptions(options: object, own: OwnOptions, attempt: boolean): NiceCallOptions {
  const none = attempt ? ATTEMPT_ALONE : NO_OPTIONS;
  let foreign: Record<string, unknown> | undefined;
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(own, key)) continue;
    foreign ??= { ...none };
    foreign[key] = Reflect.get(options, key);
  }
  return foreign ?? none;
}
