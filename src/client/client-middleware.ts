import type { ClientMiddleware, CallOptions as NiceCallOptions } from "nice-grpc-common";
import { type Contract, requireContract } from "../contract/contract.ts";
import { toMethod } from "../contract/definition.ts";
import type { CallOptions } from "../core/call-options.ts";
import { systemClock } from "../core/clock.ts";
import { type NiceCarrier, niceAttempt } from "../transport/index.ts";
import { checkPipelineOptions, type PipelineOptions } from "./client-options.ts";
import { type StreamMethod, streamMethod, type UnaryMethod, unaryMethod } from "./invoke.ts";
import { methodLayers } from "./method-layers.ts";
import { composeStream, composeUnary } from "./pipeline.ts";

/** What the middleware adds to nice-grpc's call options. */
export type MiddlewareCallOptions = Omit<CallOptions, keyof NiceCallOptions | "waitForReady">;

/**
 * The contract's pipeline as one nice-grpc client middleware: `createClientFactory().use(clientMiddleware(Orders))`.
 * Calls of other services pass through untouched. It cannot see the target: make one per channel.
 *
 * What it cannot do, because nice-grpc gives it no way: wait for a connection, and send messages encoded beforehand.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function clientMiddleware(
  contract: Contract,
  options: PipelineOptions = {},
): ClientMiddleware<MiddlewareCallOptions> {
  requireContract(contract, "clientMiddleware");
  const problems = checkPipelineOptions(options);
  if (problems.length > 0) throw new TypeError(`clientMiddleware(${contract.name}): ${problems.join("; ")}`);
  const unary = new Map<string, UnaryMethod>();
  const stream = new Map<string, StreamMethod>();
  const attempt = niceAttempt(systemClock);
  for (const [key, definition] of Object.entries(contract.definition.methods)) {
    const method = toMethod(contract.definition, definition);
    const layers = methodLayers(contract, key, method, options, systemClock);
    if (method.responseStream) stream.set(method.path, streamMethod(method, composeStream(layers, attempt, method)));
    else unary.set(method.path, unaryMethod(method, composeUnary(layers, attempt, method)));
  }
  return async function* bowline(call, callOptions) {
    const carrier: NiceCarrier = { next: call.next as NiceCarrier["next"], options: foreignOptions(callOptions) };
    if (call.responseStream) {
      const method = stream.get(call.method.path);
      if (method) return yield* method(call.request, callOptions as CallOptions, carrier) as AsyncIterable<never>;
    } else {
      const method = unary.get(call.method.path);
      if (method) return (await method(call.request, callOptions as CallOptions, carrier)) as never;
    }
    return yield* call.next(call.request, callOptions) as AsyncGenerator<never, never, undefined>;
  };
}

const OWN_OPTIONS = {
  timeoutMs: true,
  deadline: true,
  signal: true,
  inherit: true,
  waitForReady: true,
  metadata: true,
  onHeader: true,
  onTrailer: true,
} satisfies Record<keyof CallOptions, true>;
const NO_OPTIONS: NiceCallOptions = Object.freeze({});

/** The options of other middlewares, for whoever comes next; ours stay here. */
function foreignOptions(options: object): NiceCallOptions {
  let foreign: Record<string, unknown> | undefined;
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(OWN_OPTIONS, key)) continue;
    foreign ??= {};
    foreign[key] = Reflect.get(options, key);
  }
  return foreign ?? NO_OPTIONS;
}
