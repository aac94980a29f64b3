import type { CallContext as NiceCallContext, ServerMiddlewareCall } from "nice-grpc-common";
import type { Clock } from "../core/clock.ts";
import { CRITICALITY_KEY, type Criticality, isCriticality } from "../core/criticality.ts";
import type { Cursor } from "../core/cursor.ts";
import { NO_DEADLINE } from "../core/deadline.ts";
import { type Idempotency, NO_IDEMPOTENCY } from "../core/idempotency.ts";
import { type Identity, type PeerCertificate, peerIdentity } from "../core/identity.ts";
import type { Method } from "../core/method.ts";
import { pin } from "../core/pin.ts";
import { EndListeners, endOfCancelled, type ServedContext, type ServedEnd } from "../core/served-call.ts";
import { DEADLINE_KEY, type Metadata, takeCertificate } from "../transport/index.ts";
import { shownIdempotency } from "./idempotency/served-key.ts";
import { metadataProblem } from "./nice-metadata.ts";

/**
 * The context of a call that arrived over nice-grpc's server: nice-grpc's own, and what it leaves out. All that
 * handlers look at are properties of its own, because nice-grpc's middlewares spread contexts into theirs.
 */
export class NiceContext implements ServedContext {
  readonly metadata: Metadata;
  readonly peer: string;
  readonly header: Metadata;
  readonly sendHeader: () => void;
  readonly trailer: Metadata;
  readonly signal: AbortSignal;
  readonly method: Method;
  readonly deadline: Date | undefined;
  readonly deadlineAt: number;
  readonly remainingMs: () => number;
  readonly identity: Identity;
  readonly criticality: Criticality | undefined;
  readonly idempotency: Idempotency;
  readonly pin: (cursor: Cursor) => void;
  /** The rest of nice-grpc's middleware chain, down to the handler. */
  readonly next: ServerMiddlewareCall<unknown, unknown>["next"];
  standing = false;
  /** nice-grpc's own, whatever signal a layer gives the handler. */
  readonly #callSignal: AbortSignal;
  readonly #certificate: (() => PeerCertificate | undefined) | undefined;
  readonly #ends = new EndListeners();

  constructor(method: Method, next: NiceContext["next"], context: NiceCallContext, clock: Clock) {
    const wallDeadline = wallDeadlineOf(context.metadata.get(DEADLINE_KEY));
    context.metadata.delete(DEADLINE_KEY);
    const deadlineAt = wallDeadline === NO_DEADLINE ? NO_DEADLINE : clock.now() + wallDeadline - clock.wallTime();
    this.#certificate = takeCertificate(context.metadata);
    this.metadata = context.metadata;
    this.peer = context.peer;
    this.header = context.header;
    this.sendHeader = () => {
      checkHeader(context.header);
      context.sendHeader();
    };
    this.trailer = context.trailer;
    this.signal = context.signal;
    this.#callSignal = context.signal;
    this.method = method;
    this.deadline = wallDeadline === NO_DEADLINE ? undefined : new Date(wallDeadline);
    this.deadlineAt = deadlineAt;
    this.remainingMs = () => Math.max(0, deadlineAt - clock.now());
    this.identity = peerIdentity(context.peer);
    const criticality = context.metadata.get(CRITICALITY_KEY);
    this.criticality = isCriticality(criticality) ? criticality : method.criticality;
    this.idempotency = shownIdempotency(context) ?? NO_IDEMPOTENCY;
    this.pin = (cursor) => pin(this, cursor);
    this.next = next;
  }

  /** Only where nice-grpc's server was given `certificateInterceptor`. */
  get certificate(): PeerCertificate | undefined {
    return this.#certificate?.();
  }

  onEnd(listener: (end: ServedEnd) => void): void {
    this.#ends.add(listener);
  }

  outlasts(work: Promise<unknown>): void {
    this.#ends.hold(work);
  }

  /** Whether the client is gone, or its deadline passed. */
  get cancelled(): boolean {
    return this.#callSignal.aborted;
  }

  /** The handler has ended. */
  finish(end: ServedEnd): void {
    this.#ends.tell(this.cancelled ? endOfCancelled(this.#callSignal.reason) : end);
  }
}

/** In milliseconds. Without the interceptor it is whatever a client sent: what is no instant is none. */
function wallDeadlineOf(said: unknown): number {
  const instant = typeof said === "string" && said !== "" ? new Date(Number(said)).getTime() : Number.NaN;
  return Number.isNaN(instant) ? NO_DEADLINE : instant;
}

/** What HTTP/2 refuses would be told to nobody: the call would stay without an answer, or all of its connection. */
function checkHeader(header: Metadata): void {
  const problem = metadataProblem(header);
  if (problem) throw new TypeError(`the header cannot be sent: ${problem}`);
}
