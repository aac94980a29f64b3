import type { Call, Layer, Reply, UnaryHandler } from "../../core/call.ts";
import { detached } from "../../core/call-context.ts";
import { nextCallId } from "../../core/call-id.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import type { Codec } from "../../core/method.ts";
import { statusName } from "../../core/status.ts";
import { tell } from "../../core/warning.ts";
import type { KeptAnswer, ResponseCache } from "../../policy/response-cache.ts";
import type { Report } from "../report.ts";
import { handOn } from "./hand-on.ts";
import { outageOf } from "./outage.ts";
import { decodeCopy, OwnReply } from "./reply-copy.ts";
import type { KeyOf, ShareKey } from "./share-key.ts";

/** What answers of a method are kept with. */
export interface CacheContext {
  readonly cache: ResponseCache;
  readonly keyOf: KeyOf;
  /** How long a refresh in the background may take, in milliseconds; Infinity for no limit. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Aborts when the client is closed: then nothing is answered any more. */
  readonly closed: AbortSignal;
  readonly report: Report | undefined;
}

/**
 * Keeps answers, and gives each caller a copy: while they are fresh, while a newer one is fetched, and when the call
 * fails for want of a target that answers (RFC 5861). Errors are not kept.
 */
export function cacheLayer(context: CacheContext): Layer {
  const { cache, keyOf, closed } = context;
  return {
    unary: (next) => (call) => {
      if (call.signal?.aborted || closed.aborted) return next(call);
      const key = keyOf(call);
      if (!key) return next(call);
      const kept = call.options.cache === false ? undefined : cache.find(key.text);
      if (!kept) return fetch(next, call, key, context);
      if (kept.stale) refresh(next, call, key, context);
      return Promise.resolve(answer(call, kept, undefined, context));
    },
    stream: (next) => next,
  };
}

function fetch(next: UnaryHandler, call: Call, key: ShareKey, context: CacheContext): Promise<Reply> {
  const { cache, clock } = context;
  const since = clock.now();
  // The answer is kept for the request as it is now: an application may change its own meanwhile.
  return handOn(next, { ...call, request: key.request() }).then(
    (reply) => {
      keep(key, reply, since, call.method.response, cache);
      return reply;
    },
    (error) => {
      const outage = call.options.cache === false ? undefined : outageOf(error, call);
      const kept = outage && cache.findAfterError(key.text);
      if (!kept) throw error;
      return answer(call, kept, outage, context);
    },
  );
}

/** An answer that cannot be encoded again is given all the same. */
function keep({ text }: ShareKey, reply: Reply, since: number, codec: Codec, cache: ResponseCache): void {
  tell("an answer could not be kept", () => {
    // A copy: encoders cut their bytes out of larger blocks, which would be kept along.
    cache.keep(text, new Uint8Array(codec.encode(reply.message)), since);
  });
}

function answer(call: Call, kept: KeptAnswer, error: RpcError | undefined, { report }: CacheContext): Reply {
  const { ageMs, stale } = kept;
  report?.(call, stale ? "stale" : "hit", { ageMs, ...(error && { status: statusName(error.code) }) });
  const { onCached } = call.options;
  if (onCached) tell("onCached threw", () => onCached({ ageMs, stale, ...(error && { error }) }));
  return new OwnReply(decodeCopy(call.method.response, kept.bytes));
}

/** Fetches a newer answer in the background, unless somebody does already. What becomes of it the observer hears. */
function refresh(next: UnaryHandler, call: Call, key: ShareKey, context: CacheContext): void {
  const { cache, clock, report, timeoutMs } = context;
  const leave = cache.tryRefresh(key.text);
  if (!leave) return;
  const startedAt = clock.now();
  const own = { id: nextCallId(), request: key.request(), startedAt, deadline: startedAt + timeoutMs };
  const inBackground: Call = { ...call, ...own, signal: undefined };
  detached(() => handOn(next, inBackground)).then(
    (reply) => {
      keep(key, reply, startedAt, call.method.response, cache);
      leave.end();
      report?.(inBackground, "refreshed", { durationMs: clock.now() - startedAt });
    },
    (error) => {
      leave.end();
      const { code, reason } = RpcError.from(error);
      report?.(inBackground, "not-refreshed", { status: statusName(code), reason });
    },
  );
}
