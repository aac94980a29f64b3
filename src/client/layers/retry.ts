import type { Call, Layer, Reply, UnaryHandler } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import type { RetryOptions, RetryShare } from "../../policy/retry.ts";
import type { Report } from "../report.ts";
import { Attempts } from "./attempts.ts";
import { continuationOf } from "./continued.ts";
import { handOn } from "./hand-on.ts";
import { RetryStream } from "./retry-stream.ts";

/** What the calls of a method are retried with. */
export interface RetryContext {
  readonly options: RetryOptions;
  /** Of the target: throttle and budget. */
  readonly share: RetryShare;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report | undefined;
  /** Aborts when the client is closed; undefined if it cannot be. */
  readonly closed: AbortSignal | undefined;
}

/**
 * Tries a call again by gRFC A6: unary calls, and server-streams until their headers. A call that succeeds at once
 * costs a count of the budget and one of the throttle.
 */
export function retryLayer(context: RetryContext): Layer {
  const { throttling, budget } = context.share;
  return {
    unary: (next) => {
      const succeed = (reply: Reply) => {
        throttling.success();
        return reply;
      };
      const fail = (error: unknown, call: Call) => retryUnary(new Attempts(context, call), error, next);
      const goOn = continuationOf(next);
      const first: UnaryHandler = (call) => {
        if (call.signal?.aborted) throw call.signal.reason;
        budget.call(call.startedAt);
        // Not in an async function: with that, this layer costs a call that succeeds at once a third more.
        return goOn(call, succeed, fail);
      };
      return (call) => handOn(first, call);
    },
    stream: (next) => (call) => {
      budget.call(call.startedAt);
      return new RetryStream(new Attempts(context, call), next);
    },
  };
}

/** Makes the attempts after the first one, which failed. */
async function retryUnary(attempts: Attempts, firstError: unknown, next: UnaryHandler): Promise<Reply> {
  let error = firstError;
  for (;;) {
    await attempts.wait(attempts.failed(error));
    const attempt: Call = attempts.begin();
    try {
      const reply = await next(attempt);
      attempts.succeeded();
      return reply;
    } catch (failure) {
      error = failure;
    }
  }
}
