import type { Attempt, Layer, StreamHandler, UnaryHandler } from "../core/call.ts";
import type { Method } from "../core/method.ts";

/**
 * The places of the pipeline, outermost first, for methods with one response. Users never order layers by hand. A
 * place stays empty until its mechanism exists, or where a method's policy does not ask for it.
 *
 * Credentials are waited for above whatever goes by how long the target takes: the wait is not of its doing.
 */
export const UNARY_ORDER = [
  "criticality",
  "telemetry",
  "deadline",
  "idempotencyKey",
  "fallback",
  "callCredentials",
  "cache",
  "coalesce",
  "batch",
  "throttle",
  "retryOrHedge",
  "credentials",
  "breaker",
  "bulkhead",
  "attemptDeadline",
  "attemptTelemetry",
] as const;

/** The places of the pipeline, outermost first, for methods with a stream of responses. */
export const STREAM_ORDER = [
  "criticality",
  "telemetry",
  "deadline",
  "callCredentials",
  "resume",
  "retryOrHedge",
  "credentials",
  "breaker",
  "bulkhead",
  "attemptDeadline",
  "stall",
  "attemptTelemetry",
] as const;

/** The name of a place. */
export type Place = (typeof UNARY_ORDER)[number] | (typeof STREAM_ORDER)[number];

/** The layers of one method, each at its place. */
export type Layers = Readonly<Partial<Record<Place, Layer>>>;

/** Everything between the application and the attempt, for a method with one response. */
export function composeUnary(layers: Layers, attempt: Attempt, method: Method): UnaryHandler {
  return UNARY_ORDER.reduceRight((next, place) => layers[place]?.unary(next, method) ?? next, attempt.unary);
}

/** Everything between the application and the attempt, for a method with a stream of responses. */
export function composeStream(layers: Layers, attempt: Attempt, method: Method): StreamHandler {
  return STREAM_ORDER.reduceRight((next, place) => layers[place]?.stream(next, method) ?? next, attempt.stream);
}
