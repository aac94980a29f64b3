import { fail } from "../../core/errors.ts";
import { EncodedMessage, type Method } from "../../core/method.ts";

/**
 * The method with requests that arrive as bytes: what a caller sent who may not call is never decoded, and whether it
 * would have fitted tells nobody that there is such a method.
 */
export function withLateRequest(method: Method): Method {
  if (method.requestStream) return method;
  return { ...method, request: { ...method.request, decode: (bytes) => new EncodedMessage(bytes) } };
}

/**
 * The request of a method whose requests arrived as bytes.
 *
 * @throws RpcError INTERNAL for bytes that are no such message, as grpc-js has it.
 */
export function lateRequest(request: unknown, { request: codec }: Method): unknown {
  if (!(request instanceof EncodedMessage)) return request;
  try {
    return codec.decode(request.bytes);
  } catch (cause) {
    return fail("INTERNAL", "the request's bytes are no such message", { cause });
  }
}
