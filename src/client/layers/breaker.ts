import type { Call, Layer, StreamHandler } from "../../core/call.ts";
import { RpcError } from "../../core/errors.ts";
import { FailedStream } from "../../core/failed-stream.ts";
import type { MessageStream, StreamEnd } from "../../core/message-stream.ts";
import type { Reason } from "../../core/reasons.ts";
import type { StatusCode } from "../../core/status.ts";
import type { Breaker, BreakerPermit, BreakerRejection, BreakerUse } from "../../policy/breaker.ts";
import type { Report } from "../report.ts";
import { handOn } from "./hand-on.ts";

/** What the attempts of a method are guarded with. */
export interface BreakerContext {
  readonly breaker: Breaker;
  /** Statuses that count as failures of the target. */
  readonly codes: ReadonlySet<StatusCode>;
  /** Longer than which an attempt is slow, in milliseconds; on a stream, until its first message. */
  readonly slowMs: number;
  readonly report: Report | undefined;
}

/**
 * What says nothing about how the target is: the client's or the program's own doing, and a server that leaves in good
 * order, whose work another one takes.
 */
const SAYS_NOTHING: ReadonlySet<Reason> = new Set([
  "DRAINING",
  "UNEXPECTED",
  "CANCELLED",
  "CLIENT_CLOSED",
  "REQUEST_NOT_ENCODABLE",
  "MESSAGE_TOO_LARGE",
  "DEADLINE_BEFORE_SEND",
  "BREAKER_OPEN",
  "BULKHEAD_FULL",
]);

/**
 * Keeps attempts from a target that fails. On a stream the permit is settled by the first message, an error before it
 * or a cancellation (rule B7): a stream that breaks later has shown that the target answers.
 */
export function breakerLayer(context: BreakerContext): Layer {
  const { breaker, slowMs, report } = context;
  const unaryUse: BreakerUse = { slowMs };
  const streamUse: BreakerUse = { slowMs, givenUp: "ignored" };
  const reject = (call: Call, rejection: BreakerRejection) => {
    const { state, retryAfterMs = -1 } = rejection;
    report?.(call, "rejected", { state, retryAfterMs });
    return rejected(call.method.path, rejection);
  };
  return {
    // Not in an async function: with that, the whole pipeline costs a twentieth more.
    unary: (next) => (call) => {
      const permit = breaker.tryAcquire(unaryUse, call.startedAt);
      if (!permit.granted) return Promise.reject(reject(call, permit));
      return handOn(next, call).then(
        (reply) => {
          permit.success();
          return reply;
        },
        (error) => {
          if (call.signal?.aborted) settleLeft(permit, call.signal);
          else settle(permit, RpcError.from(error), context.codes);
          throw error;
        },
      );
    },
    stream: (next) => (call) => {
      const permit = breaker.tryAcquire(streamUse, call.startedAt);
      if (!permit.granted) return new FailedStream(reject(call, permit));
      const stream = openWith(permit, next, call);
      stream.watch({
        onFirstMessage: () => permit.success(),
        onEnd: (end) => {
          if (end.outcome === "cancelled" && call.signal?.aborted) settleLeft(permit, call.signal);
          else settleAtEnd(permit, end, context.codes);
        },
      });
      return stream;
    },
  };
}

/** Opens a stream; if that throws, nobody else gives the permit back. */
function openWith(permit: BreakerPermit, open: StreamHandler, call: Call): MessageStream {
  try {
    return open(call);
  } catch (error) {
    permit.ignore();
    throw error;
  }
}

/** Gives a permit back with what an error says about the target. */
export function settle(permit: BreakerPermit, error: RpcError, codes: ReadonlySet<StatusCode>): void {
  if (SAYS_NOTHING.has(error.reason)) permit.ignore();
  else if (codes.has(error.code)) permit.failure();
  else permit.success();
}

/**
 * The caller has left. Where it is a time limit that made it leave, as `AbortSignal.timeout` does, the target has
 * failed to answer in time; anything else says nothing of it.
 */
function settleLeft(permit: BreakerPermit, { reason }: AbortSignal): void {
  if (reason instanceof Error && reason.name === "TimeoutError") permit.failure();
  else permit.ignore();
}

function settleAtEnd(permit: BreakerPermit, end: StreamEnd, codes: ReadonlySet<StatusCode>): void {
  if (end.outcome === "ok") permit.success();
  else if (end.error) settle(permit, end.error, codes);
  else permit.ignore();
}

/** The error of a call that the breaker keeps from its target. */
export function rejected(path: string, { state, retryAfterMs }: BreakerRejection): RpcError {
  const details = `the circuit breaker is ${state}: no attempt was sent; ${nextTrial(state, retryAfterMs)}`;
  return new RpcError({ path, reason: "BREAKER_OPEN", details, attempts: 0, retryAfterMs });
}

function nextTrial(state: string, retryAfterMs: number | undefined): string {
  if (retryAfterMs === undefined) return "it stays so until it is reset";
  if (state === "half-open") return "its trials are under way";
  return `the next trial is due in ${Math.ceil(retryAfterMs)} ms`;
}
