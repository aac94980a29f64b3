import type { Layer } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { HedgeOptions, HedgeShare } from "../../policy/hedge.ts";
import type { Report } from "../report.ts";
import { HedgedReply } from "./hedged-reply.ts";

/** What the calls of a method are hedged with. */
export interface HedgeContext {
  readonly options: HedgeOptions;
  /** Of the target: throttle and budget; of the method: its pace. */
  readonly share: HedgeShare;
  readonly clock: Clock;
  readonly report: Report | undefined;
  /** Aborts when the client is closed; undefined if it cannot be. */
  readonly closed: AbortSignal | undefined;
}

/**
 * Sends a call again while the attempts before are still under way, by gRFC A6 (rules H1 to H4); the first OK wins. A
 * call that is answered in time costs a timer. Streams pass: one that is quiet is not slow.
 */
export function hedgeLayer(context: HedgeContext): Layer {
  return {
    unary: (next) => (call) => {
      try {
        if (call.signal?.aborted) throw call.signal.reason;
        return new HedgedReply(context, call, next).reply;
      } catch (error) {
        return Promise.reject(error);
      }
    },
    stream: (next) => next,
  };
}
