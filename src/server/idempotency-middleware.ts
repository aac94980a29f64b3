import type { CallContext as NiceCallContext, ServerMiddleware } from "nice-grpc-common";
import type { ServiceDefinition } from "../contract/definition.ts";
import { namedMethods, namesProblems, serviceProblems, type UnaryNameOf } from "../contract/named-methods.ts";
import { type CallContext, identify } from "../core/call-context.ts";
import { checkOptions, isFunction, isObject, isSpan, type OptionCheck, show } from "../core/check-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { RpcError } from "../core/errors.ts";
import { NO_IDEMPOTENCY } from "../core/idempotency.ts";
import { type Identity, peerIdentity } from "../core/identity.ts";
import type { Method } from "../core/method.ts";
import type { Observer } from "../core/observer.ts";
import type { ServedContext, ServeUnary } from "../core/served-call.ts";
import { Metadata } from "../transport/index.ts";
import { DEFAULT_LEASE_MS, DEFAULT_TTL_MS, type IdempotencyOptions, KEEPING } from "./idempotency/options.ts";
import { shownIdempotency } from "./idempotency/served-key.ts";
import { idempotencyLayer } from "./layers/idempotency.ts";
import { NiceContext } from "./nice-context.ts";
import { toServerError } from "./server-error.ts";
import { type ServerOptions, writeError } from "./server-options.ts";

/** What `idempotency()` takes. */
export interface IdempotencyMiddlewareOptions<Service extends ServiceDefinition = ServiceDefinition>
  extends IdempotencyOptions {
  /** The unary methods that run once for each key, by their names in the definition. No default. */
  readonly methods: readonly UnaryNameOf<Service>[];
  /** How long an answer is kept, in milliseconds. Default: 86,400,000 (a day, as Stripe does). */
  readonly ttlMs?: number | undefined;
  /**
   * Whose call it is: keys of different callers never meet, and nobody is given another's answer. It may look at what
   * other middlewares have put into the context. Default: the peer's address without its port.
   */
  readonly identity?: ((context: NiceCallContext) => string) | undefined;
  /** Is told of each repetition that is given a kept answer or refused, and of claims that change hands. */
  readonly observer?: Observer | undefined;
  /** Is told when the store fails. Default: that is written to standard error. */
  readonly onError?: NonNullable<ServerOptions["onError"]> | undefined;
  /** For tests. Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** The same, where types no longer matter. */
interface AnyOptions extends Omit<IdempotencyMiddlewareOptions, "methods"> {
  readonly methods: readonly string[];
}

/** What `idempotency()` adds to nice-grpc's context. */
export type IdempotencyContext = Pick<CallContext, "idempotency">;

const OPTIONS: Readonly<Record<keyof IdempotencyMiddlewareOptions, OptionCheck>> = {
  ...KEEPING,
  // Together with the definition.
  methods: () => undefined,
  ttlMs: isSpan,
  ...{ identity: isFunction, observer: isFunction, onError: isFunction, clock: isObject },
};

/** Of a method that the middleware is not told of. */
const NOT_NAMED: IdempotencyContext = {
  idempotency: {
    ...NO_IDEMPOTENCY,
    commit: () => Promise.reject(new TypeError("idempotency.commit: this method is not among idempotency()'s methods")),
  },
};

/**
 * Idempotency keys as one nice-grpc server middleware:
 * `createServer().use(idempotency(OrderServiceDefinition, { store, methods: ["createOrder"] }))`. A call that comes
 * with a key runs its handler once for each key, method and caller; repetitions are given the answer that it came to.
 * Middlewares that are used after this one run once, too; those before it see every repetition. Calls of other
 * methods pass untouched, but for `context.idempotency`.
 *
 * @param service ts-proto's definition.
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function idempotency<Service extends ServiceDefinition>(
  service: Service,
  options: IdempotencyMiddlewareOptions<NoInfer<Service>>,
): ServerMiddleware<IdempotencyContext> {
  const problems = [...serviceProblems(service), ...optionProblems(service, options)];
  if (problems.length > 0) throw new TypeError(`idempotency: ${problems.join("; ")}`);
  const { clock = systemClock, identity = knownIdentity } = options;
  const methods = servedOnce(service, options, clock);
  return async function* idempotent(call, received) {
    const known = methods.get(call.method.path);
    if (!known) {
      const context = "idempotency" in received ? received : { ...received, ...NOT_NAMED };
      return yield* call.next(call.request as never, context as never) as AsyncGenerator<never, never, undefined>;
    }
    const context = layerContext(known.method, call.next as Next, received, clock);
    identify(context, { ...context.identity, key: asKey(identity(received)) });
    try {
      return (await known.serve(call.request, context)) as never;
    } catch (error) {
      if (error instanceof HandlerError) throw error.cause;
      throw error instanceof RpcError ? toServerError(error, context) : error;
    }
  };
}

function optionProblems(service: unknown, options: AnyOptions): string[] {
  const problems = checkOptions(options, OPTIONS);
  if (options?.store === undefined) problems.push("store is missing: say where answers are kept");
  return [...problems, ...namesProblems(service, options?.methods)];
}

function servedOnce(service: ServiceDefinition, options: AnyOptions, clock: Clock) {
  const { store, leaseMs = DEFAULT_LEASE_MS, ttlMs = DEFAULT_TTL_MS, observer, onError = writeError } = options;
  const named = namedMethods(service, options.methods);
  const marked = new Map(named.map(({ path }) => [path, ttlMs]));
  const layer = idempotencyLayer({ store, leaseMs, encoded: false, clock, observer, onError }, marked);
  return new Map(named.map((method) => [method.path, { method, serve: layer.unary(callNext, method) }]));
}

type Next = NiceContext["next"];

/** nice-grpc's context as the layer needs it. Nothing is taken out of the one that the handler gets. */
function layerContext(method: Method, next: Next, received: NiceCallContext, clock: Clock): NiceContext {
  const { peer, header, trailer, signal } = received;
  // With signal and key of this run of the handler; all else as nice-grpc, and other middlewares, have it.
  const handle = (request: unknown, { signal, idempotency }: ServedContext) =>
    next(request, { ...received, signal, idempotency } as NiceCallContext);
  const sendHeader = () => received.sendHeader();
  const metadata = new Metadata(received.metadata);
  const seen = { peer, header, trailer, signal, sendHeader, metadata, idempotency: shownIdempotency(received) };
  return new NiceContext(method, handle as Next, seen, clock);
}

/** What the handler threw, or a middleware on the way to it: nice-grpc is to see it as it is. */
class HandlerError extends Error {}

const callNext: ServeUnary = async (request, context) => {
  try {
    return (await (context as NiceContext).next(request, context).next()).value;
  } catch (cause) {
    throw new HandlerError("the handler threw", { cause });
  }
};

/** Callers of whom nothing is known would be taken for one, and be given each other's answers. */
function asKey(identity: unknown): string {
  if (typeof identity === "string" && identity !== "") return identity;
  throw new TypeError(`idempotency: identity returns who is calling, as a text; it returned ${show(identity)}`);
}

/** What another middleware of ours knows of the caller, else the peer's address. */
function knownIdentity(context: NiceCallContext & { readonly identity?: Identity }): string {
  return (context.identity ?? peerIdentity(context.peer)).key;
}
