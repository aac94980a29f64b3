import { giveSignal } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import type { RpcError } from "../../core/errors.ts";
import type { ServedContext } from "../../core/served-call.ts";
import { linkSignals } from "../../core/signals.ts";
import { warnRarely } from "../../core/warning.ts";
import { tellStanding } from "../standing.ts";
import { expiringRequests } from "./expiring-requests.ts";

/** When a call ends, and how. */
export interface Expiry {
  readonly clock: Clock;
  readonly afterMs: number;
  error(): RpcError;
}

/** A call that ends when its time is over. */
export interface Expiring {
  /** What its handler gets: the request, or those that come until then. */
  readonly request: unknown;
  /** The handler has ended. */
  end(): void;
}

/**
 * Has a call end when its time is over: its handler's signal aborts with the error, and so do the requests that it
 * reads, whatever the client goes on to send. The call ends when its handler does. A call that is over before, since
 * its client has left, is let be: its handler was told to stop, and there is nobody to be refused.
 *
 * @param answer tells whoever waits for the handler; returns what is left of its work.
 */
export function beginExpiry(
  context: ServedContext,
  request: unknown,
  { clock, afterMs, error }: Expiry,
  answer: (error: RpcError) => Promise<unknown>,
): Expiring {
  const { method, signal: given } = context;
  const controller = new AbortController();
  const { signal, cleanup } = linkSignals(given, controller.signal);
  giveSignal(context, signal);
  const timer = clock.setTimer(afterMs, () => {
    if (given.aborted) return;
    const reason = error();
    tellStanding(context);
    controller.abort(reason);
    cleanup?.();
    const left = answer(reason);
    context.outlasts(left);
    left.catch((cause: unknown) => {
      if (cause !== reason) warnRarely(`${method.path}: the handler threw after its end`, cause);
    });
  });
  const end = () => {
    timer.cancel();
    cleanup?.();
  };
  const requests = () => expiringRequests(request as AsyncIterable<unknown>, controller.signal);
  return { request: method.requestStream ? requests() : request, end };
}
