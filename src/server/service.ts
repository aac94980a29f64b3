import { runInCall } from "../core/call-context.ts";
import type { Clock } from "../core/clock.ts";
import { DEADLINE_RESERVE_MS } from "../core/deadline.ts";
import { DRAIN_TRAILER, RpcError } from "../core/errors.ts";
import type { Method } from "../core/method.ts";
import type { ServedEnd, ServeStream, ServeUnary } from "../core/served-call.ts";
import { tell } from "../core/warning.ts";
import type { IncomingCall, StreamServer, UnaryServer } from "../transport/index.ts";
import type { ActiveCall, ActiveCalls } from "./active-calls.ts";
import { encodeResponse } from "./answers.ts";
import { isUnexpected, toAnswer } from "./handler-error.ts";
import { type PumpReader, pump } from "./pump.ts";
import { requestStream } from "./requests.ts";
import { ServerContext } from "./server-context.ts";
import { tellStanding } from "./standing.ts";

/** What every served call needs of its server. */
export interface Serving {
  readonly clock: Clock;
  readonly active: ActiveCalls;
  readonly onError: (error: unknown, context: ServerContext) => void;
  isDraining(): boolean;
}

/** Serves a method with one response. */
export function unaryServer(method: Method, serve: ServeUnary, serving: Serving): UnaryServer {
  return async (call, received, respond) => {
    const context = new ServerContext(method, call, serving.clock);
    const abandon = () => {
      const error = drainError(method);
      context.cancel(error);
      respond({ error, trailer: context.writtenTrailer, ownError: true });
    };
    const active: ActiveCall = { path: method.path, abandon };
    serving.active.add(active);
    context.onEnd(() => serving.active.remove(active));
    call.onCancelled(() => cancelled(context, call));
    let end: ServedEnd = WELL;
    try {
      const request = method.requestStream ? requestStream(received as AsyncIterable<unknown>, context) : received;
      const message = await runInCall(context, () => serve(request, context));
      const response = encodeResponse(method, message);
      context.flushHeader();
      end = endOf(respond({ response, trailer: context.writtenTrailer }));
    } catch (cause) {
      const error = answerTo(cause, context, serving);
      end = endOf(respond({ error, trailer: context.writtenTrailer }));
    } finally {
      context.finish(end);
    }
  };
}

/** Serves a method with a stream of responses. */
export function streamServer(method: Method, serve: ServeStream, serving: Serving): StreamServer {
  return async (call, received, sink) => {
    const context = new ServerContext(method, call, serving.clock);
    const drain = () => {
      const error = drainError(method);
      tellStanding(context);
      context.cancel(error);
      sink.end({ error, trailer: context.writtenTrailer, ownError: true });
    };
    if (serving.isDraining()) return drain();
    const active: ActiveCall = { path: method.path, drain, abandon: drain };
    serving.active.add(active);
    context.onEnd(() => serving.active.remove(active));
    call.onCancelled(() => cancelled(context, call));
    const reader: PumpReader = {
      send(message) {
        context.flushHeader();
        return sink.write(encodeResponse(method, message));
      },
      stopped: () => context.cancelled,
      onStop: (listener) => context.onCancel(listener),
    };
    let end: ServedEnd = WELL;
    try {
      const request = method.requestStream ? requestStream(received as AsyncIterable<unknown>, context) : received;
      await runInCall(context, () => pump(serve(request, context), reader));
      context.flushHeader();
      end = endOf(sink.end({ trailer: context.writtenTrailer }));
    } catch (cause) {
      const error = answerTo(cause, context, serving);
      end = endOf(sink.end({ error, trailer: context.writtenTrailer }));
    } finally {
      context.finish(end);
    }
  };
}

const WELL: ServedEnd = { outcome: "ok" };

/** How a call ended whose client was told this error, or none. */
function endOf(error: RpcError | undefined): ServedEnd {
  return error ? { outcome: "error", error } : WELL;
}

function answerTo(error: unknown, context: ServerContext, serving: Serving): RpcError {
  const answer = toAnswer(error, context.method.path);
  // A handler that stops because its call is over has done nothing wrong, whatever it throws then.
  if (isUnexpected(answer) && !context.cancelled) tell("onError threw", () => serving.onError(error, context));
  return answer;
}

function drainError(method: Method): RpcError {
  const sendTrailer = { [DRAIN_TRAILER]: "1" };
  const details = "the server is draining";
  return new RpcError({ path: method.path, reason: "DRAINING", origin: "local", details, sendTrailer });
}

/** The client is gone; grpc-js says so after every call's end too. */
function cancelled(context: ServerContext, call: IncomingCall): void {
  if (!context.over) context.cancel(cancelReason(context, call));
}

/** A client's own timer ends its call a moment before the server's would: that is the deadline too. */
function cancelReason(context: ServerContext, call: IncomingCall): unknown {
  const { path } = context.method;
  if (context.remainingMs() <= DEADLINE_RESERVE_MS) {
    return new RpcError({ path, reason: "DEADLINE_EXCEEDED", details: "the client's deadline passed" });
  }
  // The transport has refused what came, such as a message that is too large.
  const sent = call.sentStatus;
  if (sent) return new RpcError({ path, reason: "STATUS", origin: "local", ...sent });
  return new DOMException("The client cancelled", "AbortError");
}
