import type { CallContext } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { type EndState, notify, type Observer } from "../../core/observer.ts";
import type { ServerLayer } from "../../core/served-call.ts";
import { statusName } from "../../core/status.ts";
import { toAnswer } from "../handler-error.ts";

/** Tells the observer when handlers begin and end, and with what their clients are answered. */
export function telemetryLayer(observer: Observer, clock: Clock): ServerLayer {
  const started = (context: CallContext) => {
    notify(observer, { type: "served.started", method: context.method.path });
    return clock.now();
  };
  const ended = (context: CallContext, since: number, failure?: Failure) => {
    const end = { method: context.method.path, ...endOf(context, failure), durationMs: clock.now() - since };
    notify(observer, { type: "served.ended", ...end });
  };
  return {
    unary: (next) => async (request, context) => {
      const since = started(context);
      try {
        const response = await next(request, context);
        ended(context, since);
        return response;
      } catch (error) {
        ended(context, since, { error });
        throw error;
      }
    },
    stream: (next) =>
      async function* (request, context) {
        const since = started(context);
        let failure: Failure | undefined;
        try {
          yield* next(request, context);
        } catch (error) {
          failure = { error };
          throw error;
        } finally {
          ended(context, since, failure);
        }
      },
  };
}

/** What a handler threw; anything can be thrown, undefined too. */
interface Failure {
  readonly error: unknown;
}

function endOf({ signal, method }: CallContext, failure: Failure | undefined): Omit<EndState, "durationMs"> {
  // Once a call is over its client has its answer, whatever the handler still does.
  if (signal.aborted) return signal.reason instanceof RpcError ? stateOf(signal.reason) : { status: "CANCELLED" };
  return failure ? stateOf(toAnswer(failure.error, method.path)) : { status: "OK" };
}

function stateOf({ code, reason }: RpcError): Omit<EndState, "durationMs"> {
  return { status: statusName(code), reason };
}
