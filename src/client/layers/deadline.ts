import { type Call, type Layer, limited } from "../../core/call.ts";
import { type CallContext, currentCall } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import { DEADLINE_RESERVE_MS, NO_DEADLINE } from "../../core/deadline.ts";
import { RpcError } from "../../core/errors.ts";
import { FailedStream } from "../../core/failed-stream.ts";
import { linkSignals } from "../../core/signals.ts";
import { handOn } from "./hand-on.ts";

/** How long calls of a method may take, in milliseconds. */
export interface Timeouts {
  /** The least of what contract and client say; undefined if neither says anything. */
  readonly said: number | undefined;
  /** What holds if nobody says anything, the call included; Infinity for none. */
  readonly otherwise: number;
}

/**
 * Gives every call its deadline (rules D1, R9): the least of contract, client and call, and of what is left to the
 * call being served, less a reserve. That call's cancellation is inherited too.
 */
export function deadlineLayer(timeouts: Timeouts, clock: Clock): Layer {
  return {
    unary: (next) => (call) => {
      const parent = call.options.inherit === false ? undefined : currentCall();
      const deadline = deadlineOf(call, timeouts, parent, clock);
      if (!(deadline > call.startedAt)) return Promise.reject(tooLate(call));
      if (!parent) return next(limited(call, deadline, call.signal));
      const { signal, cleanup } = linkSignals(call.signal, parent.signal);
      const reply = handOn(next, limited(call, deadline, signal));
      return cleanup ? reply.finally(cleanup) : reply;
    },
    stream: (next) => (call) => {
      const parent = call.options.inherit === false ? undefined : currentCall();
      const deadline = deadlineOf(call, timeouts, parent, clock);
      if (!(deadline > call.startedAt)) return new FailedStream(tooLate(call));
      if (!parent) return next(limited(call, deadline, call.signal));
      const { signal, cleanup } = linkSignals(call.signal, parent.signal);
      try {
        const stream = next(limited(call, deadline, signal));
        if (cleanup) stream.watch({ onEnd: cleanup });
        return stream;
      } catch (error) {
        cleanup?.();
        throw error;
      }
    },
  };
}

function deadlineOf(call: Call, timeouts: Timeouts, parent: CallContext | undefined, clock: Clock): number {
  const now = call.startedAt;
  const { timeoutMs, deadline } = call.options;
  const silent = timeouts.said === undefined && timeoutMs === undefined && deadline === undefined;
  return Math.min(
    now + (silent ? timeouts.otherwise : Math.min(timeouts.said ?? NO_DEADLINE, timeoutMs ?? NO_DEADLINE)),
    deadline ? now + deadline.getTime() - clock.wallTime() : NO_DEADLINE,
    parent ? parent.deadlineAt - DEADLINE_RESERVE_MS : NO_DEADLINE,
  );
}

function tooLate(call: Call): RpcError {
  const details = "the deadline passed before the call was sent";
  return new RpcError({ path: call.method.path, reason: "DEADLINE_BEFORE_SEND", details, attempts: 0 });
}
