import type { Call, Layer, StreamHandler } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import { FailedStream } from "../../core/failed-stream.ts";
import type { MessageStream } from "../../core/message-stream.ts";
import { Status, type StatusCode } from "../../core/status.ts";
import type { Breaker } from "../../policy/breaker.ts";
import type { BreakerPermit, BreakerRejection, BreakerUse } from "../../policy/breaker-permit.ts";
import { type AttemptFacts, settleFailed, settleLeft } from "../../policy/breaker-verdict.ts";
import type { Report } from "../report.ts";
import type { Waits } from "../waits.ts";
import { continuing } from "./continued.ts";
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
  /** How long attempts have waited at a bulkhead below. Default: none waits. */
  readonly waits?: Waits;
  readonly report: Report | undefined;
}

/**
 * Keeps attempts from a target that fails. On a stream the permit is settled by the first message, an error before it
 * or a cancellation (rule B7): a stream that breaks later has shown that the target answers. A trial is settled by its
 * headers too, or quiet streams would keep the breaker from closing. A stream whose handler fails each time that it is
 * reopened counts as a failure at first, and then as nothing.
 */
export function breakerLayer(context: BreakerContext): Layer {
  const { breaker, codes, slowMs, trialTimeoutMs, clock, waits, report } = context;
  const unaryUse: BreakerUse = { slowMs, ...(trialTimeoutMs !== undefined && { trialTimeoutMs }) };
  const streamUse: BreakerUse = { slowMs, givenUp: "ignored" };
  const reject = (call: Call, rejection: BreakerRejection) => {
    const { state, retryAfterMs } = rejection;
    report?.(call, "rejected", { state, ...(retryAfterMs !== undefined && { retryAfterMs }) });
    return rejected(call.method.path, rejection);
  };
  // What waits in front of the target is not slow of the target's doing.
  const waitedMs = (call: Call) => waits?.get(call) ?? 0;
  const factsOf = (call: Call, permit: BreakerPermit): AttemptFacts => ({
    givenMs: call.deadline - call.startedAt - waitedMs(call),
    tookMs: clock.now() - call.startedAt - waitedMs(call),
    waitedMs: waitedMs(call),
    stalledMs: permit.stalledMs(),
    slowMs,
  });
  return {
    unary: (next) =>
      continuing((call, onReply, onError) => {
        const permit = breaker.tryAcquire(unaryUse, call.startedAt);
        if (!permit.granted) return onError(reject(call, permit), call);
        // Not in an async function: with that, the whole pipeline costs a twentieth more.
        return handOn(next, call).then(
          (reply) => {
            permit.success(waitedMs(call));
            return onReply(reply);
          },
          (error) => {
            if (call.signal?.aborted) settleLeft(permit, call.signal.reason, factsOf(call, permit));
            else settleFailed(permit, RpcError.from(error), codes, factsOf(call, permit));
            return onError(error, call);
          },
        );
      }),
    stream: (next) => (call) => {
      const permit = breaker.tryAcquire(streamUse, call.startedAt);
      if (!permit.granted) return new FailedStream(reject(call, permit));
      const stream = openWith(permit, next, call);
      stream.watch({
        onHeaders: () => {
          if (permit.trial) permit.success(waitedMs(call));
        },
        onFirstMessage: () => permit.success(waitedMs(call)),
        onEnd: ({ outcome, error }) => {
          if (outcome === "ok") permit.success(waitedMs(call));
          else if (error && !isOwn(call, error)) settleFailed(permit, error, codes, factsOf(call, permit));
          else if (call.signal?.aborted) settleLeft(permit, call.signal.reason, factsOf(call, permit));
          else permit.ignore();
        },
      });
      return stream;
    },
  };
}

/**
 * Whether it is most likely the request that its handler fails at. The stream has been counted before; a few that are
 * reopened again and again would otherwise keep all others from a target that is well, and take its trials.
 */
function isOwn({ isFailing = false }: Call, { reason, code }: RpcError): boolean {
  return isFailing && reason === "STATUS" && code === Status.INTERNAL;
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
