import type { CallContext } from "./call-context.ts";
import { RpcError } from "./errors.ts";
import type { PeerCertificate } from "./identity.ts";
import type { Method } from "./method.ts";
import { tell } from "./warning.ts";

/** How a served call ended. */
export interface ServedEnd {
  /** `cancelled`: the client was gone before there was an answer. */
  readonly outcome: "ok" | "error" | "cancelled";
  /** With outcome `error`: what the client was answered. */
  readonly error?: RpcError;
}

/** The call being served, as the layers of a server see it. */
export interface ServedContext extends CallContext {
  /**
   * The client's certificate; undefined if it showed none.
   *
   * @throws CredentialError if it showed one that none of the server's authorities signed.
   */
  readonly certificate: PeerCertificate | undefined;
  /** Whether its handler was opened, where the method is one that resumes. Default: it was not, or is none. */
  standing?: boolean;
  /**
   * Calls `listener` once, when the handler has ended and its answer is on its way, or nobody waits for one any more;
   * at once if that was before, as where a middleware gave up on a call that still waited. A layer that only watches
   * needs no more than this, for unary methods and streams alike.
   */
  onEnd(listener: (end: ServedEnd) => void): void;
  /**
   * Has the call end no sooner than this settles, whatever its client was answered: for a layer that answers while the
   * handler is still at work.
   */
  outlasts(work: Promise<unknown>): void;
}

/** Serves a call with one response: resolves with it, or rejects with whatever went wrong. */
export type ServeUnary = (request: unknown, context: ServedContext) => Promise<unknown>;

/** Serves a call with a stream of responses. */
export type ServeStream = (request: unknown, context: ServedContext) => AsyncIterable<unknown>;

/**
 * Applies one policy of the server around the next handler; composed once per method, when a service is added. A
 * layer refuses with `fail`, says who is calling with `identify`, and hears of the end through `context.onEnd`.
 */
export interface ServerLayer {
  /** For methods with one response: unary and client-stream. */
  unary(next: ServeUnary, method: Method): ServeUnary;
  /** For methods with a stream of responses: server-stream and bidi. */
  stream(next: ServeStream, method: Method): ServeStream;
}

/** Keeps who wants to hear of a served call's end, and tells each of them once, also who comes after it. */
export class EndListeners {
  #listeners: ((end: ServedEnd) => void)[] = [];
  #end: ServedEnd | undefined;
  #work: Promise<unknown> | undefined;

  /** Whether the call was answered; work of its handler's may go on. */
  get answered(): boolean {
    return this.#end !== undefined;
  }

  add(listener: (end: ServedEnd) => void): void {
    this.#listeners.push(listener);
    if (this.#end) this.tell(this.#end);
  }

  /** Nobody is told before this has settled. */
  hold(work: Promise<unknown>): void {
    const all = Promise.allSettled([work, this.#work]);
    this.#work = all;
    void all.then(() => {
      if (this.#work === all) this.#work = undefined;
      if (this.#end) this.tell(this.#end);
    });
  }

  /** Tells how the call ended, once nothing of it is at work. The first end is the one. */
  tell(end: ServedEnd): void {
    this.#end ??= end;
    if (this.#work) return;
    for (const listener of this.#listeners.splice(0)) tell("a listener of a call's end threw", () => listener(end));
  }
}

/** How a call ended whose signal aborted: its deadline passed or its server drained, or its client left. */
export function endOfCancelled(reason: unknown): ServedEnd {
  return reason instanceof RpcError ? { outcome: "error", error: reason } : { outcome: "cancelled" };
}
