import type { CallContext } from "../../core/call-context.ts";
import { fail } from "../../core/errors.ts";
import type { ServerLayer } from "../../core/served-call.ts";

/** Refuses work that is too late before its handler runs (rule D3). */
export const deadlineLayer: ServerLayer = {
  unary: (next) => (request, context) => (isLate(context) ? refuse() : next(request, context)),
  stream: (next) => (request, context) => {
    refuseLate(context);
    return next(request, context);
  },
};

/**
 * Refuses a call that was in time when it came, and has waited since.
 *
 * @throws RpcError DEADLINE_EXCEEDED.
 */
export function refuseLate(context: CallContext): void {
  if (isLate(context)) tooLate();
}

function isLate(context: CallContext): boolean {
  return context.remainingMs() <= 0;
}

function tooLate(): never {
  fail("DEADLINE_EXCEEDED", "the deadline passed before the handler began");
}

async function refuse(): Promise<never> {
  tooLate();
}
