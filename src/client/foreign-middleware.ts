import type { ClientMiddleware, CallOptions as NiceCallOptions } from "nice-grpc-common";
import type { CallOptions } from "../core/call-options.ts";
import type { Method } from "../core/method.ts";
import type { ResponseStream } from "../core/response-stream.ts";
import { composeClientMiddleware } from "../transport/index.ts";
import { type StreamMethod, THROUGH_MIDDLEWARES, type UnaryMethod } from "./invoke.ts";

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
    return await inner(request, options as CallOptions, THROUGH_MIDDLEWARES);
  }
  return async (request, options = {}) => {
    const call = { method: described, requestStream: method.requestStream, request, responseStream: false, next };
    const run = middleware(call as never, options as NiceCallOptions);
    const result = await run.next();
    if (result.done) return result.value;
    await run.return(undefined as never);
    throw new TypeError(`${method.path}: a middleware yielded a message; a unary method returns one`);
  };
}

/** Runs nice-grpc middlewares around a method with a stream of responses. */
export function aroundStream(middleware: ClientMiddleware, method: Method, inner: StreamMethod): StreamMethod {
  const described = descriptor(method);
  return (request, options = {}) => {
    const calls = new Set<ResponseStream<unknown>>();
    let last: ResponseStream<unknown> | undefined;
    let left = false;
    async function* next(request: unknown, options: NiceCallOptions): AsyncGenerator<unknown, void, undefined> {
      if (left) return;
      const call = inner(request, options as CallOptions, THROUGH_MIDDLEWARES);
      calls.add(call);
      last = call;
      try {
        yield* call;
      } finally {
        calls.delete(call);
      }
    }
    const call = { method: described, requestStream: method.requestStream, request, responseStream: true, next };
    const messages = middleware(call as never, options as NiceCallOptions);
    const leave = () => {
      left = true;
      // A generator's `return()` waits for its pending `next()`: that one ends when the calls below do.
      for (const call of calls) void call.return();
      return messages.return(undefined) as Promise<IteratorResult<unknown, undefined>>;
    };
    const stream: ResponseStream<unknown> = {
      get cursor() {
        return last?.cursor;
      },
      next: () => messages.next() as Promise<IteratorResult<unknown, undefined>>,
      return: leave,
      [Symbol.asyncIterator]: () => stream,
      [Symbol.asyncDispose]: async () => void (await leave()),
    };
    return stream;
  };
}
