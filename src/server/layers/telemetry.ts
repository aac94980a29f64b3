import type { CallContext } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import { notify, type Observer } from "../../core/observer.ts";
import type { ServerLayer } from "../../core/served-call.ts";
import { statusName } from "../../core/status.ts";
import { toAnswer } from "../handler-error.ts";

/** Tells the observer when handlers begin and end, and with what their clients are answered. */
export function telemetryLayer(observer: Observer, clock: Clock): ServerLayer {
  const started = (context: CallContext) => {
    notify(observer, { type: "served.started", method: context.method.path });
    return clock.now();
  };
  const ended = (context: CallContext, since: number, error?: unknown) => {
    const end = { type: "served.ended", method: context.method.path, durationMs: clock.now() - since } as const;
    if (context.signal.aborted) notify(observer, { ...end, status: "CANCELLED" });
    else if (error === undefined) notify(observer, { ...end, status: "OK" });
    else {
      const { code, reason } = toAnswer(error, context.method.path);
      notify(observer, { ...end, status: statusName(code), reason });
    }
  };
  return {
    unary: (next) => async (request, context) => {
      const since = started(context);
      try {
        const response = await next(request, context);
        ended(context, since);
        return response;
      } catch (error) {
        ended(context, since, error);
        throw error;
      }
    },
    stream: (next) =>
      async function* (request, context) {
        const since = started(context);
        let failure: unknown;
        try {
          yield* next(request, context);
        } catch (error) {
          failure = error;
          throw error;
        } finally {
          ended(context, since, failure);
        }
      },
  };
}
