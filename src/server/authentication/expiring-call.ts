import { giveSignal } from "../../core/call-context.ts";
import type { ServedContext, ServeUnary } from "../../core/served-call.ts";
import { linkSignals } from "../../core/signals.ts";
import { warn } from "../../core/warning.ts";
import { expiringRequests } from "./expiring-requests.ts";
import type { Expiry } from "./expiring-stream.ts";

/**
 * Serves a client's stream until its time is over: then the caller is answered with the error, and so are its handler's
 * signal and the requests that it reads, whatever the client goes on to send. The call ends when its handler does.
 */
export async function expiringCall(
  next: ServeUnary,
  request: unknown,
  context: ServedContext,
  { clock, afterMs, error }: Expiry,
): Promise<unknown> {
  const controller = new AbortController();
  const { signal, cleanup } = linkSignals(context.signal, controller.signal);
  giveSignal(context, signal);
  const expired = Promise.withResolvers<never>();
  const requests = expiringRequests(request as AsyncIterable<unknown>, controller.signal);
  const handled = (async () => next(requests, context))();
  const timer = clock.setTimer(afterMs, () => {
    const reason = error();
    context.outlasts(handled);
    handled.catch((cause: unknown) => {
      if (cause !== reason) warn(`${context.method.path}: the handler threw after its end`, cause);
    });
    controller.abort(reason);
    expired.reject(reason);
  });
  try {
    return await Promise.race([handled, expired.promise]);
  } finally {
    timer.cancel();
    cleanup?.();
  }
}
