import { runInCall } from "../core/call-context.ts";
import type { Clock } from "../core/clock.ts";
import { CRITICALITY_KEY, type Criticality, isCriticality } from "../core/criticality.ts";
import type { Cursor } from "../core/cursor.ts";
import { NO_DEADLINE } from "../core/deadline.ts";
import { type Idempotency, NO_IDEMPOTENCY } from "../core/idempotency.ts";
import { type Identity, type PeerCertificate, peerIdentity } from "../core/identity.ts";
import type { Method } from "../core/method.ts";
import { pin } from "../core/pin.ts";
import { EndListeners, endOfCancelled, type ServedContext, type ServedEnd } from "../core/served-call.ts";
import { type IncomingCall, Metadata } from "../transport/index.ts";

/** The context of a call that arrived over our own server. What a handler does not look at is never made. */
export class ServerContext implements ServedContext {
  readonly method: Method;
  readonly peer: string;
  readonly deadlineAt: number;
  standing = false;
  readonly #call: IncomingCall;
  readonly #clock: Clock;
  #metadata: Metadata | undefined;
  #header: Metadata | undefined;
  #trailer: Metadata | undefined;
  #identity: Identity | undefined;
  #controller: AbortController | undefined;
  #cancelReason: { readonly reason: unknown } | undefined;
  #cancelListener: (() => void) | undefined;
  readonly #ends = new EndListeners();

  constructor(method: Method, call: IncomingCall, clock: Clock) {
    this.method = method;
    this.#call = call;
    this.#clock = clock;
    // Now, because it cannot be told any more once the connection is gone.
    this.peer = call.peer();
    this.deadlineAt =
      call.wallDeadline === NO_DEADLINE ? NO_DEADLINE : clock.now() + call.wallDeadline - clock.wallTime();
  }

  get metadata(): Metadata {
    this.#metadata ??= this.#call.metadata();
    return this.#metadata;
  }

  get header(): Metadata {
    this.#header ??= new Metadata();
    return this.#header;
  }

  get trailer(): Metadata {
    this.#trailer ??= new Metadata();
    return this.#trailer;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#cancelReason) this.#controller.abort(this.#cancelReason.reason);
    }
    return this.#controller.signal;
  }

  get deadline(): Date | undefined {
    return this.#call.wallDeadline === NO_DEADLINE ? undefined : new Date(this.#call.wallDeadline);
  }

  get identity(): Identity {
    this.#identity ??= peerIdentity(this.peer);
    return this.#identity;
  }

  get certificate(): PeerCertificate | undefined {
    return this.#call.certificate();
  }

  get criticality(): Criticality | undefined {
    const said = this.#call.text(CRITICALITY_KEY);
    return isCriticality(said) ? said : this.method.criticality;
  }

  get idempotency(): Idempotency {
    return NO_IDEMPOTENCY;
  }

  remainingMs(): number {
    return Math.max(0, this.deadlineAt - this.#clock.now());
  }

  sendHeader(): void {
    this.#call.sendHeader(this.header);
  }

  pin(cursor: Cursor): void {
    pin(this, cursor);
  }

  /** Sends the header if a handler wrote one: before the first message, and never before an error (gRFC A6). */
  flushHeader(): void {
    if (this.#header) this.#call.sendHeader(this.#header);
  }

  /** The trailer, if a handler wrote one. */
  get writtenTrailer(): Metadata | undefined {
    return this.#trailer;
  }

  get cancelled(): boolean {
    return this.#cancelReason !== undefined;
  }

  onEnd(listener: (end: ServedEnd) => void): void {
    this.#ends.add(listener);
  }

  outlasts(work: Promise<unknown>): void {
    this.#ends.hold(work);
  }

  /** The handler has finished: what happens to the call now aborts nothing. */
  finish(end: ServedEnd): void {
    this.#ends.tell(this.#cancelReason ? endOfCancelled(this.#cancelReason.reason) : end);
  }

  /** Whether it makes no difference any more that the client is gone. */
  get over(): boolean {
    return this.#ends.answered || this.#cancelReason !== undefined;
  }

  /** Calls back, in the context of the call, once it is cancelled and the signal has aborted. One listener. */
  onCancel(listener: () => void): void {
    this.#cancelListener = listener;
  }

  /** Aborts the signal; only the first reason counts. */
  cancel(reason: unknown): void {
    if (this.over) return;
    this.#cancelReason = { reason };
    this.#controller?.abort(reason);
    if (this.#cancelListener) runInCall(this, this.#cancelListener);
  }
}
