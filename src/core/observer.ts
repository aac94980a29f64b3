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

interface OfCall {
  /** The same in all events of one call, and different in those of any other call that this process makes or serves. */
  readonly id: number;
  /** `/package.Service/Method`. */
  readonly method: string;
}

interface OfClientCall extends OfCall {
  /** What the client dials; a middleware cannot know. */
  readonly target?: string;
}

interface OfAttempt extends OfClientCall {
  /** Which attempt of its call it is, from 1. */
  readonly attempt: number;
}

/** The application made a call. */
export interface CallStarted extends OfClientCall {
  readonly type: "call.started";
}

/** A call ended: its answer came, it failed, or its caller left. */
export interface CallEnded extends OfClientCall, EndState {
  readonly type: "call.ended";
}

/** One try of a call went to the transport. */
export interface AttemptStarted extends OfAttempt {
  readonly type: "attempt.started";
  /** Milliseconds that it may take; Infinity without a deadline. */
  readonly timeoutMs: number;
}

/** One try of a call ended. */
export interface AttemptEnded extends OfAttempt, EndState {
  readonly type: "attempt.ended";
}

/** A call arrived at a server. */
export interface ServedStarted extends OfCall {
  readonly type: "served.started";
}

/** A served call ended: its handler has, and its answer is on its way, if anybody waits for one. */
export interface ServedEnded extends OfCall, EndState {
  readonly type: "served.ended";
}

/**
 * A mechanism decided something. Each names its actions where it is documented, such as policy `breaker` with
 * action `opened`.
 */
export interface PolicyActed {
  readonly type: "policy";
  /** The call that it decided about, if it was about one. */
  readonly id?: number;
  /** The method that it decided about, if it was about one. */
  readonly method?: string;
  /** The target that it decided about, if it was about one. */
  readonly target?: string;
  /** `retry`, `hedge`, `breaker`, `budget`, `resume`, `stall`, `bulkhead`, `cache`, `shed`, `rate-limit`, `connection`, `drain` … */
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
 * what it throws becomes a process warning, for each fault once a minute at most, and never reaches the call.
 */
export type Observer = (event: ObserverEvent) => void;

/** Tells an observer, and keeps its errors away from the call. */
export function notify(observer: Observer, event: ObserverEvent): void {
  tell("an observer threw", () => observer(event));
}
