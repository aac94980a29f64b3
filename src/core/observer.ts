import type { Reason } from "./reasons.ts";
import type { StatusName } from "./status.ts";
import { tell } from "./warning.ts";

/** How a call or an attempt ended. */
export interface EndState {
  /** The status's name; `CANCELLED` when the caller left. */
  readonly status: StatusName;
  /** Why, if it failed. */
  readonly reason?: Reason;
  /** From its start, in milliseconds on the monotonic clock. */
  readonly durationMs: number;
}

interface OfMethod {
  /** `/package.Service/Method`. */
  readonly method: string;
}

/** The application made a call. */
export interface CallStarted extends OfMethod {
  readonly type: "call.started";
}

/** A call ended: its answer came, it failed, or its caller left. */
export interface CallEnded extends OfMethod, EndState {
  readonly type: "call.ended";
}

/** One try of a call went to the transport. */
export interface AttemptStarted extends OfMethod {
  readonly type: "attempt.started";
  /** Milliseconds that it may take; Infinity without a deadline. */
  readonly timeoutMs: number;
}

/** One try of a call ended. */
export interface AttemptEnded extends OfMethod, EndState {
  readonly type: "attempt.ended";
}

/** A server took a call and its handler began. */
export interface ServedStarted extends OfMethod {
  readonly type: "served.started";
}

/** A server's handler ended, or its call was cancelled. */
export interface ServedEnded extends OfMethod, EndState {
  readonly type: "served.ended";
}

/**
 * A mechanism decided something. Each names its actions where it is documented, such as policy `breaker` with
 * action `opened`.
 */
export interface PolicyActed extends OfMethod {
  readonly type: "policy";
  /** `retry`, `hedge`, `breaker`, `budget`, `resume`, `stall`, `bulkhead`, `cache`, `shed`, `rate-limit`, `drain` … */
  readonly policy: string;
  /** What it did, such as `scheduled`, `denied`, `opened`. */
  readonly action: string;
  /** Figures and names that belong to it. */
  readonly detail: Readonly<Record<string, string | number | boolean>>;
}

/** Whatever an observer is told. Tell them apart by `type`; further types may be added. */
export type ObserverEvent =
  | CallStarted
  | CallEnded
  | AttemptStarted
  | AttemptEnded
  | ServedStarted
  | ServedEnded
  | PolicyActed;

/**
 * Watches calls; without one, events are not even made. An observer only watches: what it returns is ignored, and
 * what it throws becomes a process warning and never reaches the call.
 */
export type Observer = (event: ObserverEvent) => void;

/** Tells an observer, and keeps its errors away from the call. */
export function notify(observer: Observer, event: ObserverEvent): void {
  tell("an observer threw", () => observer(event));
}
