import type { CallContext } from "../../core/call-context.ts";
import type { Method } from "../../core/method.ts";

/** What a client's calls are allowed by: `bearer(…)`, `forwardCallerToken({ … })`, or something of your own. */
export interface Credentials {
  /**
   * Called when a call begins.
   *
   * @param caller the call that is being served, if the call is made while serving one.
   * @throws RpcError if there are no credentials for such a call; nothing is sent.
   */
  forCall(caller: CallContext | undefined): CallCredentials;
  /** Called when a client is made: why it must not send them to this target. Default: to any that it may. */
  targetProblems?(target: string): readonly string[];
}

/** What one call is allowed by, all of its attempts. */
export interface CallCredentials {
  /**
   * Whom the call is made for: calls of different partitions share no answers, no attempts and no batches. It stays the
   * same when a token is refreshed, and is never sent. Undefined or empty where nobody can tell: such a call shares nothing,
   * unless it or its client says `partition`.
   */
  readonly partition: string | undefined;
  /**
   * What an attempt sends, lower-case names, such as `authorization`. It is asked in the async context that the call was
   * made in; for a batch, in that of its first call. What it rejects with becomes the `cause` of
   * `NO_CREDENTIALS`; what it throws as an `RpcError` with that reason is passed on.
   */
  headers(attempt: CredentialAttempt): Sent | Promise<Sent>;
  /** Called when a server answered UNAUTHENTICATED to what was sent. */
  rejected?(sent: Sent): void;
}

/** Metadata by name, one value each. */
export type Sent = Readonly<Record<string, string>>;

/** The attempt that is to be made. */
export interface CredentialAttempt {
  readonly method: Method;
  /** Aborts when nobody waits for the attempt any more. What is fetched for several calls must not end with one. */
  readonly signal: AbortSignal;
}
