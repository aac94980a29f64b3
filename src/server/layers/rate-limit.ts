import type { RateLimitSettings } from "../../contract/resolve-serving.ts";
import type { CallContext } from "../../core/call-context.ts";
import { peerIdentity } from "../../core/identity.ts";
import type { Method } from "../../core/method.ts";
import { notify, type Observer } from "../../core/observer.ts";
import { peerNetworkKey } from "../../core/peer-network.ts";
import type { ServerLayer } from "../../core/served-call.ts";
import { unlessAborted } from "../../core/signals.ts";
import { tell } from "../../core/warning.ts";
import { LaterStream } from "../later-stream.ts";
import type { RateLimit, RateLimitStore } from "../limits/rate-limit-store.ts";
import { rateLimited } from "../limits/refusals.ts";
import { refuseLate } from "./deadline.ts";

/** A limit of one method, and whose calls share a bucket of it. */
export interface KeyedLimit extends RateLimit, Pick<RateLimitSettings, "key"> {}

/** What calls are limited with. */
export interface RateLimiting {
  readonly store: RateLimitStore;
  readonly observer: Observer | undefined;
  /** Is told when the store fails. */
  readonly onError: (error: unknown, context: CallContext) => void;
  /** The limits of a method, all of which hold. */
  limitsOf(method: Method): readonly KeyedLimit[];
}

/** What a layer of it is for: a call goes on, or is refused. */
type Verdict = undefined | Promise<void>;

/** Refuses the calls of whoever makes more than a method's rate limits allow, before anything is done for them. */
export function rateLimitLayer(limiting: RateLimiting): ServerLayer {
  return {
    unary: (next, method) => {
      const limits = limiting.limitsOf(method);
      if (limits.length === 0) return next;
      return async (request, context) => {
        const verdict = take(limiting, limits, context);
        if (verdict) await verdict;
        return next(request, context);
      };
    },
    stream: (next, method) => {
      const limits = limiting.limitsOf(method);
      if (limits.length === 0) return next;
      return (request, context) => {
        const verdict = take(limiting, limits, context);
        return verdict ? LaterStream.of(verdict.then(() => next(request, context))) : next(request, context);
      };
    },
  };
}

/**
 * Takes a token of each limit; at once where the store answers at once.
 *
 * @throws RpcError, or rejects with one, if there is none; rejects with the signal's reason if the call is over before
 *   the store has answered, and with DEADLINE_EXCEEDED if its time is.
 */
export function take(limiting: RateLimiting, limits: readonly KeyedLimit[], context: CallContext): Verdict {
  for (const [index, limit] of limits.entries()) {
    const taken = ask(limiting, limit, context);
    if (typeof taken !== "number") return takeLater(limiting, limits.slice(index + 1), limit, context, taken);
    refuseUnless(taken, limiting, limit, context);
  }
  return undefined;
}

async function takeLater(
  limiting: RateLimiting,
  rest: readonly KeyedLimit[],
  limit: KeyedLimit,
  context: CallContext,
  taken: Promise<number>,
): Promise<void> {
  refuseUnless(await unlessAborted(taken, context.signal), limiting, limit, context);
  await take(limiting, rest, context);
  refuseLate(context);
}

/** A store that fails lets calls go on: a limit that cannot be counted is no reason to serve nobody. */
function ask({ store, onError }: RateLimiting, limit: KeyedLimit, context: CallContext): number | Promise<number> {
  const passOn = (error: unknown) => {
    tell("onError threw", () => onError(error, context));
    return 0;
  };
  try {
    const taken = store.take(limit, keyOf(limit, context));
    return typeof taken === "number" ? taken : taken.catch(passOn);
  } catch (error) {
    return passOn(error);
  }
}

function keyOf({ key }: KeyedLimit, { identity, peer }: CallContext): string {
  if (key === "method") return "";
  const caller = key === "peer" ? peerIdentity(peer) : identity;
  return caller.source === "peer" ? peerNetworkKey(caller.key) : caller.key;
}

function refuseUnless(waitMs: number, { observer }: RateLimiting, limit: KeyedLimit, { method }: CallContext): void {
  if (!(waitMs > 0)) return;
  if (observer) {
    const detail = { limit: limit.name, key: limit.key, waitMs };
    notify(observer, { type: "policy", policy: "rate-limit", action: "rejected", method: method.path, detail });
  }
  throw rateLimited(method.path, limit, waitMs);
}
