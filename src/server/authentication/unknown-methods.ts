import { systemClock } from "../../core/clock.ts";
import { fail } from "../../core/errors.ts";
import { EncodedMessage, type Method } from "../../core/method.ts";
import type { ServeUnary } from "../../core/served-call.ts";
import type { ServerTransport } from "../../transport/index.ts";
import { authenticationLayer } from "../layers/authentication.ts";
import { deadlineLayer } from "../layers/deadline.ts";
import type { ServerLoad } from "../limits/server-load.ts";
import { composeServeUnary } from "../pipeline.ts";
import { type Serving, unaryServer } from "../service.ts";
import { sameAccess } from "./access.ts";
import { type AuthenticationSettings, authenticatorsOf } from "./options.ts";

/**
 * Has calls of methods that there are not answered as those of methods that take one request, down to what grpc-js says
 * of no request or two: who is not authenticated cannot tell which of these there are. Who is gets UNIMPLEMENTED.
 *
 * A method that streams requests can be told apart: it refuses when its headers arrive, and however many requests there
 * are. It would have to wait otherwise for what a caller may send only after an answer, and the others to begin before
 * there is anything to do.
 */
export function serveUnknown(
  transport: ServerTransport,
  serving: Serving,
  settings: AuthenticationSettings,
  load: ServerLoad,
): void {
  const { endStreamsAtExpiry = true } = settings;
  const accessOf = sameAccess({ scopes: [] });
  const authenticators = authenticatorsOf(settings);
  // Nobody is told of refusals: names that callers make up would fill whatever counts by method.
  const context = { authenticators, accessOf, endStreamsAtExpiry, clock: systemClock, observer: undefined };
  const authentication = authenticationLayer(context);
  const layers = { ...load.unknownLayers(), deadline: deadlineLayer, authentication };
  transport.serveUnknown((path) => {
    const method = unknownMethod(path);
    // In the same order as for all others, so that what is late is not told apart either.
    const serve = composeServeUnary(layers, unimplemented, method);
    return { method, serve: unaryServer(method, serve, serving) };
  });
}

const unimplemented: ServeUnary = async (_request, { method }) =>
  fail("UNIMPLEMENTED", `The server does not implement the method ${method.path}`);

/** A method of a name that somebody called, whatever it is. */
function unknownMethod(path: string): Method {
  const [, service = "", name = ""] = path.split("/");
  const codec = {
    encode: () => new Uint8Array(),
    decode: (bytes: Uint8Array) => new EncodedMessage(bytes),
  };
  const shape = { kind: "unary", requestStream: false, responseStream: false, idempotency: "UNKNOWN" } as const;
  return { path, service, name, ...shape, request: codec, response: codec };
}
