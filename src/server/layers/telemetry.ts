import { nextCallId } from "../../core/call-id.ts";
import type { Clock } from "../../core/clock.ts";
import { type EndState, notify, type Observer } from "../../core/observer.ts";
import type { ServedContext, ServedEnd, ServerLayer } from "../../core/served-call.ts";
import { statusName } from "../../core/status.ts";

/** Tells the observer what is served: when calls arrive and end, and with what their clients are answered. */
export function telemetryLayer(observer: Observer, clock: Clock): ServerLayer {
  const watch = (context: ServedContext) => {
    const call = { id: nextCallId(), method: context.method.path };
    const since = clock.now();
    notify(observer, { type: "served.started", ...call });
    context.onEnd((end) => {
      notify(observer, { type: "served.ended", ...call, ...stateOf(end), durationMs: clock.now() - since });
    });
  };
  return {
    unary: (next) => (request, context) => {
      watch(context);
      return next(request, context);
    },
    stream: (next) => (request, context) => {
      watch(context);
      return next(request, context);
    },
  };
}

function stateOf({ outcome, error }: ServedEnd): Omit<EndState, "durationMs"> {
  if (outcome === "ok") return { status: "OK" };
  return error ? { status: statusName(error.code), reason: error.reason } : { status: "CANCELLED" };
}
