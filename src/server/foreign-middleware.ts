import type { CallContext as NiceCallContext, ServerMiddleware } from "nice-grpc-common";
import type { Method } from "../core/method.ts";
import type { ServedContext, ServerLayer } from "../core/served-call.ts";

/** A nice-grpc server middleware as a layer. */
export function foreignLayer(middleware: ServerMiddleware): ServerLayer {
  return {
    unary: (next, method) => async (request, context) => {
      // biome-ignore lint/correctness/useYield: nice-grpc's middlewares take a generator that returns the response
      async function* inner(changed: unknown, extended: NiceCallContext): AsyncGenerator<never, unknown, undefined> {
        return await next(changed, takeOver(context, extended));
      }
      const result = await middleware(describe(method, request, inner) as never, context).next();
      if (!result.done)
        throw new TypeError(`${method.path}: a middleware yielded a message; a unary method returns one`);
      return result.value;
    },
    stream: (next, method) => (request, context) => {
      async function* inner(changed: unknown, extended: NiceCallContext): AsyncGenerator<unknown, void, undefined> {
        yield* next(changed, takeOver(context, extended));
      }
      return middleware(describe(method, request, inner) as never, context);
    },
  };
}

/**
 * The call's context with what a middleware added or replaced: they hand on spread copies, which have none of the
 * context's accessors.
 */
function takeOver(context: ServedContext, extended: NiceCallContext): ServedContext {
  if (context === extended) return context;
  for (const [key, value] of Object.entries(extended)) {
    if (Reflect.get(context, key) !== value) Object.defineProperty(context, key, { value, configurable: true });
  }
  return context;
}

function describe(method: Method, request: unknown, next: unknown) {
  const { path, requestStream, responseStream, idempotency } = method;
  const options = idempotency === "UNKNOWN" ? {} : { idempotencyLevel: idempotency };
  const described = { path, requestStream, responseStream, options };
  return { method: described, requestStream, request, responseStream, next };
}
