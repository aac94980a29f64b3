import type { CallContext as NiceCallContext, ServerMiddlewareCall } from "nice-grpc-common";
import type { Clock } from "../core/clock.ts";
import { NO_DEADLINE } from "../core/deadline.ts";
import { type Identity, peerIdentity } from "../core/identity.ts";
import type { Method } from "../core/method.ts";
import { EndListeners, endOfCancelled, type ServedContext, type ServedEnd } from "../core/served-call.ts";
import { DEADLINE_KEY } from "../transport/index.ts";

/** The context of a call that arrived over nice-grpc's server. */
export interface NiceContext extends ServedContext {
  /** The rest of nice-grpc's middleware chain, down to the handler. */
  readonly next: ServerMiddlewareCall<unknown, unknown>["next"];
  /** The handler has ended. */
  finish(end: ServedEnd): void;
}

/**
 * nice-grpc's own context and what it leaves out. A plain object, because nice-grpc's middlewares spread contexts
 * into their own.
 */
export function niceContext(
  method: Method,
  next: NiceContext["next"],
  context: NiceCallContext,
  clock: Clock,
): NiceContext {
  const wallDeadline = Number(context.metadata.get(DEADLINE_KEY) ?? NO_DEADLINE);
  context.metadata.delete(DEADLINE_KEY);
  const deadlineAt = wallDeadline === NO_DEADLINE ? NO_DEADLINE : clock.now() + wallDeadline - clock.wallTime();
  let identity: Identity | undefined;
  let ends: EndListeners | undefined;
  return {
    ...context,
    method,
    next,
    deadlineAt,
    deadline: wallDeadline === NO_DEADLINE ? undefined : new Date(wallDeadline),
    onEnd(listener) {
      ends ??= new EndListeners();
      ends.add(listener);
    },
    finish: (end) => ends?.tell(context.signal.aborted ? endOfCancelled(context.signal.reason) : end),
    remainingMs: () => Math.max(0, deadlineAt - clock.now()),
    get identity() {
      identity ??= peerIdentity(context.peer);
      return identity;
    },
  };
}
