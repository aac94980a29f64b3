import type { Metadata, MetadataInit } from "nice-grpc-common";
import type { served } from "./call-context.ts";
import type { Criticality } from "./criticality.ts";
import type { RpcError } from "./errors.ts";

/** What is known of an answer out of the cache. */
export interface CachedAnswer {
  /** For how long it has been kept, from when its call began, in milliseconds. */
  readonly ageMs: number;
  /** Whether it is older than the contract's `ttl`: a newer one is being fetched, or could not be. */
  readonly stale: boolean;
  /** What the call failed with that it stands in for; absent if no call was waited for. */
  readonly error?: RpcError;
}

/**
 * What can be said for one call. With a value that is none of an option's, the call rejects with a TypeError that lists
 * all of them, and nothing is done for it: no policy hears of it.
 *
 * A generated client says of a stream that resumes what `onExpired` is given, its `Cursor`, and answers: a `Request`,
 * whose `Field` says a position. Options of which nothing is said are taken by every method.
 */
export interface CallOptions<
  // biome-ignore lint/suspicious/noExplicitAny: what is said for no method in particular is taken by all
  Request extends object = any,
  // biome-ignore lint/suspicious/noExplicitAny: the same
  Cursor = any,
  Field extends keyof Request = never,
> {
  /** Metadata to send. Default: none. */
  readonly metadata?: MetadataInit | undefined;
  /** Cancels the call when it aborts; the call then rejects with `signal.reason`. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How long the call may take in all, in milliseconds; `Infinity` for no limit of its own. The least of contract,
   * client and call holds. Default: the contract's, else the client's, else 10 s for methods with one response.
   */
  readonly timeoutMs?: number | undefined;
  /** When the call must be over. Beside a timeout, the earlier one holds. Default: none. */
  readonly deadline?: Date | undefined;
  /**
   * Whether a call made while serving another one takes over that one's deadline and cancellation (rule D1).
   * Default: true.
   */
  readonly inherit?: boolean | undefined;
  /**
   * Wait for a connection instead of failing at once while the target cannot be reached; the deadline still holds.
   * `clientMiddleware` cannot do it. Default: false.
   */
  readonly waitForReady?: boolean | undefined;
  /**
   * The key by which the server recognises a repetition of this call, where the contract gives the method an
   * `idempotency_key`; elsewhere it is refused, since nothing would go by it. 1 to 255 printable ASCII characters
   * without space and comma. Give one to repeat a call yourself, such as after a crash: keep it beside what the call is
   * about. Default: one of the call's own.
   */
  readonly idempotencyKey?: string | undefined;
  /**
   * How much the call matters; sent as `bowline-criticality`. A server with too much to do refuses what matters least
   * first. A call made while serving another one matters no more than that one, whatever is said here. Default: the
   * call's that is being served, else the client's, else what the contract says.
   */
  readonly criticality?: Criticality | undefined;
  /** `false`: one attempt, whatever the contract says; a stream is not reopened either. Default: true. */
  readonly retry?: boolean | undefined;
  /**
   * Upper bound of the attempts of this call, the first included; at least 1. On a stream that resumes, of each
   * opening. Default: the contract's.
   */
  readonly maxAttempts?: number | undefined;
  /**
   * Whom the call is made for, where answers are shared by `coalesce` or `cache`: calls of different partitions share
   * none. Not sent. A name that stays, such as a user's id; no token, which changes. Default: the client's.
   */
  readonly partition?: string | undefined;
  /**
   * `false`: the server is asked, whatever is in the cache or under way already, such as to read what was just written;
   * its answer is kept for others. Default: true.
   */
  readonly cache?: boolean | undefined;
  /**
   * On a stream that resumes: called when the server no longer has the position to continue after. The request that it
   * answers is sent instead, as a whole, and says where to go on: such as after what was read anew, or, where the
   * contract says `from_start`, at 0. Without a position elsewhere, without its field, or with a field that the request
   * does not have, the call fails with a TypeError. Its signal aborts when the call is over. Default, and where it
   * answers undefined: the call fails with `CURSOR_EXPIRED`.
   */
  readonly onExpired?:
    | ((
        cursor: Cursor,
        context: { readonly signal: AbortSignal },
      ) => Placed<Request, Field> | undefined | Promise<Placed<Request, Field> | undefined>)
    | undefined;
  /**
   * Called when the answer comes out of the cache, before the call settles. That answer has no headers and trailers.
   * Default: nobody is told; look here before you rely on an answer's being new.
   */
  readonly onCached?: ((answer: CachedAnswer) => void) | undefined;
  /** Called once with the response headers: as soon as they come on a stream, else when the call has succeeded. */
  readonly onHeader?: ((header: Metadata) => void) | undefined;
  /** Called once with the trailers, before the call settles. */
  readonly onTrailer?: ((trailer: Metadata) => void) | undefined;
  /** A handler's context has metadata and a signal too, but its caller's credentials are among them. */
  readonly [served]?: undefined;
}

/** What an option of a call is called. */
export type CallOptionName = Exclude<keyof CallOptions, symbol>;

/** A request that says a position. Its field must be there: misspelt beside another one, it would go unnoticed. */
type Placed<Request extends object, Field extends keyof Request> = Request & Required<Pick<Request, Field>>;
