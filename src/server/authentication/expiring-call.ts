import type { ServedContext, ServeUnary } from "../../core/served-call.ts";
import { linkSignals } from "../../core/signals.ts";
import { expiringRequests } from "./expiring-requests.ts";
import type { Expiry } from "./expiring-stream.ts";

/**
 * Serves a client's stream until its time is over: then the caller is answered with the error, and so are its handler's
 * signal and the requests that it reads, whatever the client goes on to send.
 */
export async function expiringCall(
  next: ServeUnary,
  request: unknown,
  context: ServedContext,
  { clock, afterMs, error }: Expiry,
): Promise<unknown> {
  const controller = new AbortController();
  const { signal, cleanup } = linkSignals(context.signal, controller.signal);
  // The context itself, as everything below knows it by identity.
  Object.defineProperty(context, "signal", { value: signal, enumerable: true, configurable: true });
  const expired = Promise.withResolvers<never>();
  const timer = clock.setTimer(afterMs, () => {
    const reason = error();
    controller.abort(reason);
    expired.reject(reason);
  });
  const requests = expiringRequests(request as AsyncIterable<unknown>, controller.signal);
  try {
    return await Promise.race([next(requests, context), expired.promise]);
  } finally {
    timer.cancel();
    cleanup?.();
  }
}
