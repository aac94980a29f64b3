import type { Method } from "../core/method.ts";
import type { ServerLayer, ServeStream, ServeUnary } from "../core/served-call.ts";

/**
 * The places of the server's pipeline, outermost first. Users never order layers by hand. A place stays empty until
 * its mechanism exists, or where nothing asks for it.
 */
export const SERVER_ORDER = [
  "telemetry",
  "deadline",
  "shed",
  "authentication",
  "permission",
  "rateLimit",
  "validation",
  "idempotency",
  "heartbeat",
  "standing",
] as const;

/** The name of a place. */
export type ServerPlace = (typeof SERVER_ORDER)[number];

/** The layers of one method, each at its place. */
export type ServerLayers = Readonly<Partial<Record<ServerPlace, ServerLayer>>>;

/** Everything between the transport and a handler with one response. */
export function composeServeUnary(layers: ServerLayers, handler: ServeUnary, method: Method): ServeUnary {
  return SERVER_ORDER.reduceRight((next, place) => layers[place]?.unary(next, method) ?? next, handler);
}

/** Everything between the transport and a handler with a stream of responses. */
export function composeServeStream(layers: ServerLayers, handler: ServeStream, method: Method): ServeStream {
  return SERVER_ORDER.reduceRight((next, place) => layers[place]?.stream(next, method) ?? next, handler);
}
