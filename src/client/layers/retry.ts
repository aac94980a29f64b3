import type { Call, Layer, UnaryHandler } from "../../core/call.ts";
import { type Clock, sleep } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import type { RetryOptions, RetryShare } from "../../policy/retry.ts";
import type { Report } from "../report.ts";
import { Attempts } from "./attempts.ts";
import { RetryStream } from "./retry-stream.ts";

/** What the calls of a method are retried with. */
export interface RetryContext {
  readonly options: RetryOptions;
  /** Of the target: throttle and budget. */
  readonly share: RetryShare;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report | undefined;
}

/**
 * Tries a call again by gRFC A6: unary calls, and server-streams until their headers. A call that succeeds at once
 * costs a count of the budget and one of the throttle.
 */
export function retryLayer(context: RetryContext): Layer {
  return {
    unary: (next) => (call) => retryUnary(context, next, call),
    stream: (next) => (call) => new RetryStream(new Attempts(context, call), next),
  };
}

async function retryUnary(context: RetryContext, next: UnaryHandler, call: Call) {
  const attempts = new Attempts(context, call);
  for (;;) {
    const attempt = attempts.begin();
    try {
      const reply = await next(attempt);
      attempts.succeeded();
      return reply;
    } catch (error) {
      await sleep(context.clock, attempts.failed(error), call.signal).catch((reason) => {
        attempts.abandoned();
        throw reason;
      });
    }
  }
}
