import type { CallContext as NiceCallContext, ServerMiddleware } from "nice-grpc-common";
import { type Contract, requireContract } from "../contract/contract.ts";
import { type CallContext, runInCall } from "../core/call-context.ts";
import { systemClock } from "../core/clock.ts";
import type { RpcError } from "../core/errors.ts";
import type { Method } from "../core/method.ts";
import type { ServedEnd, ServeStream, ServeUnary } from "../core/served-call.ts";
import { Status } from "../core/status.ts";
import { tell } from "../core/warning.ts";
import { ServerError } from "../transport/index.ts";
import { requireMessage } from "./answers.ts";
import { contractAccess } from "./authentication/access.ts";
import { methodPaths, methodsOf } from "./contract-methods.ts";
import { meetNeeds } from "./contract-needs.ts";
import { isUnexpected, toAnswer } from "./handler-error.ts";
import { serverLayers } from "./layers/index.ts";
import { unservedLimits } from "./limits/load-options.ts";
import { ServerLoad } from "./limits/server-load.ts";
import { NiceContext } from "./nice-context.ts";
import { clear, takeUnsendable } from "./nice-metadata.ts";
import { composeServeStream, composeServeUnary } from "./pipeline.ts";
import { requestStream } from "./requests.ts";
import { toServerError } from "./server-error.ts";
import { type ServerOptions, serverOptionProblems, writeError } from "./server-options.ts";

/** Of a server's options those that depend on calls alone. */
const OPTIONS = [
  "observer",
  "onError",
  "idempotency",
  "rateLimit",
  "shed",
  "validation",
  "authenticate",
  "endStreamsAtExpiry",
] as const;

/** What holds for a server middleware. */
export type ServerMiddlewareOptions = Pick<ServerOptions, (typeof OPTIONS)[number]>;

/** What the middleware adds to nice-grpc's context. */
export type MiddlewareContext = Omit<CallContext, keyof NiceCallContext>;

/**
 * The contract's pipeline as one nice-grpc server middleware: `createServer().use(serverMiddleware(Orders))`. Calls of
 * other services pass through untouched.
 *
 * nice-grpc hides deadlines. For `context.deadline`, and for calls that inherit it, give nice-grpc's server
 * `deadlineInterceptor` too; without it, cancellation alone is inherited. It hides certificates too, for which there is
 * `certificateInterceptor`. What it cannot do at all: drain, health, reflection, and messages encoded beforehand. With
 * `authenticate` it keeps callers from this contract's service alone: nice-grpc itself says which methods there are not.
 *
 * @throws TypeError that lists everything that is wrong with the options, and what is missing of what the contract's
 *   idempotency keys, constraints and `auth` need.
 */
export function serverMiddleware(
  contract: Contract,
  options: ServerMiddlewareOptions = {},
): ServerMiddleware<MiddlewareContext> {
  requireContract(contract, "serverMiddleware");
  const unserved = unservedLimits(options?.rateLimit, methodPaths(contract));
  const { checks, problems: missing } = meetNeeds(contract, options ?? {});
  const problems = [...serverOptionProblems(options, OPTIONS), ...unserved, ...missing];
  if (problems.length > 0) throw new TypeError(`serverMiddleware(${contract.name}): ${problems.join("; ")}`);
  const methods = new Map<string, { method: Method; unary: ServeUnary; stream: ServeStream }>();
  const onError = options.onError ?? writeError;
  const { rateLimit, shed, observer } = options;
  const load = new ServerLoad({ rateLimit, shed, clock: systemClock, observer, onError });
  const { idempotency, authenticate, endStreamsAtExpiry } = options;
  const access = { authenticate, endStreamsAtExpiry, accessOf: contractAccess(contract) };
  const surroundings = { idempotency, encoded: false, onError, load, checks, access };
  const layers = serverLayers(contract, observer, systemClock, surroundings);
  for (const { method } of methodsOf(contract)) {
    const unary = composeServeUnary(layers, callNext, method);
    methods.set(method.path, { method, unary, stream: composeServeStream(layers, iterateNext, method) });
  }
  return async function* bowline(call, received) {
    const known = methods.get(call.method.path);
    if (!known) return yield* call.next(call.request, received as never) as AsyncGenerator<never, never, undefined>;
    const context = new NiceContext(known.method, call.next as NiceContext["next"], received, systemClock);
    const request = call.requestStream ? requestStream(call.request, context) : call.request;
    let end: ServedEnd = { outcome: "ok" };
    try {
      if (!call.responseStream) {
        const response = await runInCall(context, () => known.unary(request, context));
        requireMessage(response, known.method);
        checkMetadata(context);
        return response as never;
      }
      yield* eachInCall(context, known.stream(request, context)) as AsyncIterable<never>;
    } catch (cause) {
      const { error, sent } = answerTo(cause, context, onError);
      end = { outcome: "error", error };
      throw sent;
    } finally {
      context.finish(end);
    }
  };
}

async function callNext(request: unknown, context: CallContext): Promise<unknown> {
  const result = await (context as NiceContext).next(request, context).next();
  return result.value;
}

function iterateNext(request: unknown, context: CallContext): AsyncIterable<unknown> {
  return (context as NiceContext).next(request, context);
}

/** Each step of the stream as a part of its call: a generator runs in the context of whoever resumes it. */
async function* eachInCall(context: CallContext, messages: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  const iterator = messages[Symbol.asyncIterator]();
  let over = true;
  try {
    for (;;) {
      over = true;
      const result = await runInCall(context, () => iterator.next());
      over = result.done === true;
      checkMetadata(context);
      if (result.done) return;
      requireMessage(result.value, context.method);
      yield result.value;
    }
  } finally {
    // Left at a message: by nice-grpc, which has nobody to send it to, or by what the handler wrote beside it.
    if (!over) await runInCall(context, async () => iterator.return?.());
  }
}

/** Takes out what HTTP/2 would not send, or not take, when it is too late to tell anybody. */
function checkMetadata({ header, trailer }: CallContext): void {
  const problem = takeUnsendable(header) ?? takeUnsendable(trailer);
  if (problem) throw unsendable(problem);
}

function unsendable(problem: string): TypeError {
  return new TypeError(`metadata that cannot be sent: ${problem}`);
}

/** What the client is told; and the operator, of what nobody expects. */
function answerTo(
  cause: unknown,
  context: NiceContext,
  onError: NonNullable<ServerOptions["onError"]>,
): { readonly error: RpcError; readonly sent: ServerError } {
  const { path } = context.method;
  const error = toAnswer(cause, path);
  if (context.cancelled) return { error, sent: new ServerError(Status.CANCELLED, "the call is over") };
  if (isUnexpected(error)) tell("onError threw", () => onError(cause, context));
  // nice-grpc would send the header before the error, which forbids every retry (gRFC A6).
  clear(context.header);
  const sent = toServerError(error, context);
  const problem = takeUnsendable(context.trailer);
  if (problem === undefined) return { error, sent };
  clear(context.trailer);
  return answerTo(unsendable(problem), context, onError);
}
