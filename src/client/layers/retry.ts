import type { Layer, Reply, UnaryHandler } from "../../core/call.ts";
import { type Clock, sleep } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import type { RetryOptions, RetryShare } from "../../policy/retry.ts";
import type { Report } from "../report.ts";
import { Attempts } from "./attempts.ts";
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
}

/**
 * Tries a call again by gRFC A6: unary calls, and server-streams until their headers. A call that succeeds at once
 * costs a count of the budget and one of the throttle.
 */
export function retryLayer(context: RetryContext): Layer {
  return {
    unary: (next) => {
      const begin: UnaryHandler = (call) => tryUnary(new Attempts(context, call), next);
      return (call) => handOn(begin, call);
    },
    stream: (next) => (call) => new RetryStream(new Attempts(context, call), next),
  };
}

/**
 * Makes an attempt and, if it fails, those after it. Not in an async function: with that, this layer costs a call that
 * succeeds at once a third more.
 */
function tryUnary(attempts: Attempts, next: UnaryHandler): Promise<Reply> {
  return handOn(next, attempts.begin()).then(
    (reply) => {
      attempts.succeeded();
      return reply;
    },
    async (error) => {
      await sleep(attempts.clock, attempts.failed(error), attempts.call.signal).catch((reason) => {
        attempts.abandoned();
        throw reason;
      });
      return tryUnary(attempts, next);
    },
  );
}
