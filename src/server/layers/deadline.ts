import type { CallContext } from "../../core/call-context.ts";
import { fail } from "../../core/errors.ts";
import type { ServerLayer } from "../../core/served-call.ts";

/** Refuses work that is too late before its handler runs (rule D3). */
export const deadlineLayer: ServerLayer = {
  unary: (next) => async (request, context) => {
    refuseLate(context);
    return next(request, context);
  },
  stream: (next) => (request, context) => {
    refuseLate(context);
    return next(request, context);
  },
};

function refuseLate(context: CallContext): void {
  if (context.remainingMs() <= 0) fail("DEADLINE_EXCEEDED", "the deadline passed before the handler began");
}
