import { AsyncLocalStorage } from "node:async_hooks";
import type { CallContext as NiceCallContext } from "nice-grpc-common";
import type { Criticality } from "./criticality.ts";
import type { Cursor } from "./cursor.ts";
import type { Idempotency } from "./idempotency.ts";
import type { Identity } from "./identity.ts";
import type { Method } from "./method.ts";

/** Keeps the call being served from being taken for the options of one to make; never set. */
export declare const served: unique symbol;

/**
 * The call being served: what a handler gets as its second argument and `currentCall()` gives anywhere below it.
 * All that nice-grpc's context has, and more. `Position` is what the stream resumes by, as generated handlers' types
 * have it; anything where the contract does not say.
 */
export interface CallContext<Position = Cursor> extends NiceCallContext {
  /** The method that is being served. */
  readonly method: Method;
  /** When the client stops waiting, in wall time; undefined if it never does. For showing. */
  readonly deadline: Date | undefined;
  /** The same on the monotonic clock; `Infinity` if never. For reckoning. */
  readonly deadlineAt: number;
  /** Milliseconds until the deadline; `Infinity` without one, 0 once it passed. */
  remainingMs(): number;
  /** Who is calling. */
  readonly identity: Identity;
  /**
   * How much the call matters, as its caller says, else the contract; undefined if neither does, which counts as
   * `critical`. Calls made while serving it matter no more.
   */
  readonly criticality: Criticality | undefined;
  /** The call's idempotency key, and what keeps its answer together with the work. */
  readonly idempotency: Idempotency;
  /**
   * Tells the client of a server-stream where it begins, once the handler's subscription stands: if it then breaks
   * before its first message, it is resumed without a gap (rule S5). The header goes out at once with the position in
   * it; so refuse before, while the client may still retry. Without effect once the header is out, as it is after a
   * `pin`, a message or a heartbeat.
   *
   * @param cursor as the contract's cursor field has it: that of the last message which the stream will not send. 0, ""
   *   and empty bytes pin nothing, since no request can say them.
   * @throws TypeError on any other method than a server-stream; for what is no position of the method's, whose type the
   *   contract's fields have, or none at all where the method does not resume; and if the handler wrote something into
   *   the header that cannot be sent.
   */
  pin(cursor: Position): void;
  readonly [served]?: true;
}

/**
 * Says who is calling: authentication does, before anything that keeps callers apart looks. Until then it is the
 * address alone.
 */
export function identify(context: CallContext, identity: Identity): void {
  Object.defineProperty(context, "identity", { value: identity, enumerable: true, configurable: true });
}

/**
 * Gives whoever comes next another signal: in the context itself, as everything below knows it by identity.
 *
 * @returns the context.
 */
export function giveSignal<C extends CallContext>(context: C, signal: AbortSignal | undefined): C {
  return Object.defineProperty(context, "signal", { value: signal, enumerable: true, configurable: true });
}

const storage = new AsyncLocalStorage<CallContext | undefined>();

/** The call being served, or undefined outside of one. It holds after every `await` and in each step of a stream. */
export function currentCall(): CallContext | undefined {
  return storage.getStore();
}

/** Runs `work` as a part of serving a call. */
export function runInCall<T>(context: CallContext, work: () => T): T {
  return storage.run(context, work);
}

/**
 * Runs `work` outside of the call being served: calls that it makes neither inherit the deadline nor are cancelled
 * with it. For work that outlives its call.
 *
 * @returns what `work` returns. Where nobody waits for a promise, give it a `catch`: Node ends the process over one that
 *   rejects unheard.
 */
export function detached<T>(work: () => T): T {
  return storage.run(undefined, work);
}

/**
 * What runs `work` in the async context of now, whoever calls it later: what an application keeps there, such as whose
 * session it is, is the call's, and timers and other calls have none of it.
 */
export function inThisContext(): <T>(work: () => T) => T {
  return AsyncLocalStorage.snapshot();
}
