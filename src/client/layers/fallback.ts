import type { Call, Layer, Reply } from "../../core/call.ts";
import type { RpcError } from "../../core/errors.ts";
import { statusName } from "../../core/status.ts";
import type { Fallback } from "../fallbacks.ts";
import type { Report } from "../report.ts";
import { handOn } from "./hand-on.ts";
import { outageOf } from "./outage.ts";
import { OwnReply } from "./reply-copy.ts";

/** What answers for a method when no answer can be had. */
export interface FallbackContext {
  readonly fallback: Fallback;
  readonly report: Report | undefined;
}

/**
 * Answers by the application's own function where a call fails for want of a target that answers. It must do so at
 * once: the call's time may be over, and what waits would pile up while the target is away.
 */
export function fallbackLayer(context: FallbackContext): Layer {
  return {
    unary: (next) => (call) =>
      handOn(next, call).catch((error: unknown) => {
        const outage = outageOf(error, call);
        if (!outage) throw error;
        return standIn(call, outage, context);
      }),
    stream: (next) => next,
  };
}

/** @throws the call's own error if the fallback fails: what it failed with is the cause. */
function standIn(call: Call, outage: RpcError, { fallback, report }: FallbackContext): Reply {
  const detail = { status: statusName(outage.code), reason: outage.reason };
  try {
    const message = atOnce(fallback(call.request, outage));
    report?.(call, "answered", detail);
    return new OwnReply(message);
  } catch (cause) {
    report?.(call, "failed", detail);
    throw outage.with({ cause });
  }
}

function atOnce(message: unknown): unknown {
  // Nobody waits for it, nor for what it rejects with.
  if (message instanceof Promise) message.catch(() => {});
  else if (typeof message === "object" && message !== null) return message;
  throw new TypeError(`a fallback returns its answer at once; it returned ${message}`);
}
