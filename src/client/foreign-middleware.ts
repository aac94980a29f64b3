import type { ClientMiddleware, CallOptions as NiceCallOptions } from "nice-grpc-common";
import type { CallOptions } from "../core/call-options.ts";
import type { Method } from "../core/method.ts";
import { composeClientMiddleware } from "../transport/index.ts";
import type { StreamMethod, UnaryMethod } from "./invoke.ts";

/** nice-grpc middlewares as one, the first the innermost, as `createClientFactory().use(…)` has it. */
export function composeForeign(middlewares: readonly ClientMiddleware[]): ClientMiddleware | undefined {
  const [first, ...rest] = middlewares;
  return first && rest.reduce<ClientMiddleware>((inner, outer) => composeClientMiddleware(inner, outer), first);
}

function descriptor(method: Method) {
  const options = method.idempotency === "UNKNOWN" ? {} : { idempotencyLevel: method.idempotency };
  return { path: method.path, requestStream: method.requestStream, responseStream: method.responseStream, options };
}

/** Runs nice-grpc middlewares around a method with one response. */
export function aroundUnary(middleware: ClientMiddleware, method: Method, inner: UnaryMethod): UnaryMethod {
  const described = descriptor(method);
  // biome-ignore lint/correctness/useYield: nice-grpc's middlewares take a generator that returns the response
  async function* next(request: unknown, options: NiceCallOptions): AsyncGenerator<never, unknown, undefined> {
    return await inner(request, options as CallOptions);
  }
  return async (request, options = {}) => {
    const call = { method: described, requestStream: method.requestStream, request, responseStream: false, next };
    const result = await middleware(call as never, options as NiceCallOptions).next();
    if (!result.done) throw new TypeError(`${method.path}: a middleware yielded a message; a unary method returns one`);
    return result.value;
  };
}

/** Runs nice-grpc middlewares around a method with a stream of responses. */
export function aroundStream(middleware: ClientMiddleware, method: Method, inner: StreamMethod): StreamMethod {
  const described = descriptor(method);
  async function* next(request: unknown, options: NiceCallOptions): AsyncGenerator<unknown, void, undefined> {
    yield* inner(request, options as CallOptions);
  }
  return (request, options = {}) => {
    const call = { method: described, requestStream: method.requestStream, request, responseStream: true, next };
    const messages = middleware(call as never, options as NiceCallOptions);
    const stream = {
      next: () => messages.next() as Promise<IteratorResult<unknown, undefined>>,
      return: () => messages.return(undefined) as Promise<IteratorResult<unknown, undefined>>,
      [Symbol.asyncIterator]: () => stream,
      [Symbol.asyncDispose]: async () => void (await messages.return(undefined)),
    };
    return stream;
  };
}
