import type { Call, Layer } from "../../core/call.ts";
import { RpcError } from "../../core/errors.ts";
import type { ClientThrottle, ThrottleRejection } from "../../policy/client-throttle.ts";
import { settleThrottle } from "../../policy/throttle-verdict.ts";
import type { Report } from "../report.ts";
import { handOn } from "./hand-on.ts";

/** What the calls to a target are throttled with. */
export interface ThrottleContext {
  /** The throttle of a call: each criticality has its own. */
  throttleOf(call: Call): ClientThrottle;
  readonly report: Report | undefined;
}

/** Rejects a share of the calls while the target rejects too many. Streams pass: they are few, and stay. */
export function throttleLayer({ throttleOf, report }: ThrottleContext): Layer {
  return {
    unary: (next) => (call) => {
      const permit = throttleOf(call).tryAcquire(call.startedAt);
      if (!permit.granted) return Promise.reject(reject(call, permit, report));
      return handOn(next, call).then(
        (reply) => {
          permit.success();
          return reply;
        },
        (error) => {
          if (call.signal?.aborted) permit.ignore();
          else settleThrottle(permit, RpcError.from(error));
          throw error;
        },
      );
    },
    stream: (next) => next,
  };
}

function reject(call: Call, { probability }: ThrottleRejection, report: Report | undefined): RpcError {
  report?.(call, "rejected", { probability });
  const share = `${(probability * 100).toFixed(1)} %`;
  const details = `the target rejects calls, so that the client does with ${share} of them: no attempt was sent`;
  return new RpcError({ path: call.method.path, reason: "CLIENT_THROTTLED", details, attempts: 0 });
}
