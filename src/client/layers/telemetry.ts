import type { Call, Layer } from "../../core/call.ts";
import { currentCall } from "../../core/call-context.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import type { StreamEnd } from "../../core/message-stream.ts";
import { type EndState, notify, type Observer } from "../../core/observer.ts";
import { statusName } from "../../core/status.ts";
import { handOn } from "./hand-on.ts";

/** What is watched: whole calls, or each of their attempts. */
export type Subject = "call" | "attempt";

/**
 * Tells the observer when calls, or attempts, start and end.
 *
 * @param target what the client dials, if that is known.
 */
export function telemetryLayer(subject: Subject, observer: Observer, clock: Clock, target?: string): Layer {
  const nameOf = ({ id, method }: Call) => ({ id, method: method.path, ...(target === undefined ? {} : { target }) });
  const started = (call: Call) => {
    const { attempt, deadline, startedAt } = call;
    if (subject === "call") notify(observer, { type: "call.started", ...nameOf(call) });
    else notify(observer, { type: "attempt.started", ...nameOf(call), attempt, timeoutMs: deadline - startedAt });
  };
  const ended = (call: Call, end: Omit<EndState, "durationMs">) => {
    const state = { ...nameOf(call), ...end, durationMs: clock.now() - call.startedAt };
    if (subject === "call") notify(observer, { type: "call.ended", ...state });
    else notify(observer, { type: "attempt.ended", ...state, attempt: call.attempt });
  };
  return {
    unary: (next) => (call) => {
      started(call);
      return handOn(next, call).then(
        (reply) => {
          ended(call, { status: "OK" });
          return reply;
        },
        (error) => {
          ended(call, endOf(error, call));
          throw error;
        },
      );
    },
    stream: (next) => (call) => {
      started(call);
      try {
        const stream = next(call);
        stream.watch({ onEnd: (end) => ended(call, endOfStream(end)) });
        return stream;
      } catch (error) {
        ended(call, endOf(error, call));
        throw error;
      }
    },
  };
}

function endOf(error: unknown, call: Call): Omit<EndState, "durationMs"> {
  if (isReason(error, call.signal) || isReason(error, currentCall()?.signal)) return { status: "CANCELLED" };
  const { code, reason } = RpcError.from(error);
  return { status: statusName(code), reason };
}

/** A call that is cancelled rejects with its signal's reason, which may be anything. */
function isReason(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && signal.reason === error;
}

function endOfStream(end: StreamEnd): Omit<EndState, "durationMs"> {
  if (end.outcome === "ok") return { status: "OK" };
  return end.error ? { status: statusName(end.error.code), reason: end.error.reason } : { status: "CANCELLED" };
}
