import type { Call, Layer, StreamHandler } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { FailedStream } from "../../core/failed-stream.ts";
import type { MessageStream } from "../../core/message-stream.ts";
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
  /** After how long a trial is given up, in milliseconds, if it is no stream. */
  readonly trialTimeoutMs?: number;
  readonly clock: Clock;
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
  const { breaker, slowMs, trialTimeoutMs, report } = context;
  const unaryUse: BreakerUse = { slowMs, ...(trialTimeoutMs !== undefined && { trialTimeoutMs }) };
  const streamUse: BreakerUse = { slowMs, givenUp: "ignored" };
  const reject = (call: Call, rejection: BreakerRejection) => {
    const { state, retryAfterMs } = rejection;
    report?.(call, "rejected", { state, ...(retryAfterMs !== undefined && { retryAfterMs }) });
    return rejected(call.method.path, rejection);
  };
  const stalledMs = () => context.clock.stalledMs?.() ?? 0;
  return {
    // Not in an async function: with that, the whole pipeline costs a twentieth more.
    unary: (next) => (call) => {
      const permit = breaker.tryAcquire(unaryUse, call.startedAt);
      if (!permit.granted) return Promise.reject(reject(call, permit));
      const before = stalledMs();
      return handOn(next, call).then(
        (reply) => {
          permit.success(stalledMs() - before);
          return reply;
        },
        (error) => {
          if (call.signal?.aborted) settleLeft(permit, call, context);
          else settleFailed(permit, RpcError.from(error), call, context, stalledMs() - before);
          throw error;
        },
      );
    },
    stream: (next) => (call) => {
      const permit = breaker.tryAcquire(streamUse, call.startedAt);
      if (!permit.granted) return new FailedStream(reject(call, permit));
      const before = stalledMs();
      const stream = openWith(permit, next, call);
      stream.watch({
        onFirstMessage: () => permit.success(stalledMs() - before),
        onEnd: ({ outcome, error }) => {
          if (outcome === "ok") permit.success(stalledMs() - before);
          else if (error) settleFailed(permit, error, call, context, stalledMs() - before);
          else if (call.signal?.aborted) settleLeft(permit, call, context);
          else permit.ignore();
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
export function settle(permit: BreakerPermit, error: RpcError, codes: ReadonlySet<StatusCode>, excusedMs = 0): void {
  if (SAYS_NOTHING.has(error.reason)) permit.ignore();
  else if (codes.has(error.code)) permit.failure(excusedMs);
  else permit.success(excusedMs);
}

/** The same, for an attempt whose time may have been too short, or gone while this process stood still. */
function settleFailed(permit: BreakerPermit, error: RpcError, call: Call, context: BreakerContext, excusedMs: number) {
  const ranOut = error.reason === "DEADLINE_EXCEEDED" || error.reason === "ATTEMPT_TIMEOUT";
  const givenMs = call.deadline - call.startedAt;
  if (ranOut && error.headersReceived) permit.success(excusedMs);
  else if (error.reason === "DEADLINE_EXCEEDED" && isImpatient(givenMs, context)) permit.ignore();
  else if (ranOut && excusedMs > (context.clock.now() - call.startedAt) / 2) permit.ignore();
  else settle(permit, error, context.codes, excusedMs);
}

/** A target that would not even be slow cannot be blamed for what this caller does not wait for. */
function isImpatient(givenMs: number, { slowMs }: BreakerContext): boolean {
  return slowMs !== Number.POSITIVE_INFINITY && givenMs < slowMs;
}

/**
 * The caller has left. Where it is a time limit that made it leave, as `AbortSignal.timeout` does, the target has
 * failed to answer in time; anything else says nothing of it.
 */
function settleLeft(permit: BreakerPermit, { signal, startedAt }: Call, context: BreakerContext): void {
  const { reason } = signal ?? {};
  const ranOut = reason instanceof Error && reason.name === "TimeoutError";
  if (ranOut && !isImpatient(context.clock.now() - startedAt, context)) permit.failure();
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
