import type { ServedContext, ServeUnary } from "../../core/served-call.ts";
import { beginExpiry, type Expiry } from "./expiry.ts";

/** Serves a client's stream until its time is over: then the caller is answered with the error. */
export async function expiringCall(
  next: ServeUnary,
  request: unknown,
  context: ServedContext,
  expiry: Expiry,
): Promise<unknown> {
  const expired = Promise.withResolvers<never>();
  const expiring = beginExpiry(context, request, expiry, (error) => {
    expired.reject(error);
    return handled;
  });
  const handled = (async () => next(expiring.request, context))();
  try {
    return await Promise.race([handled, expired.promise]);
  } finally {
    expiring.end();
  }
}
