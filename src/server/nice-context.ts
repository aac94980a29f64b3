import type { Metadata, CallContext as NiceCallContext, ServerMiddlewareCall } from "nice-grpc-common";
import type { CallContext } from "../core/call-context.ts";
import type { Clock } from "../core/clock.ts";
import { NO_DEADLINE } from "../core/deadline.ts";
import { type Identity, peerIdentity } from "../core/identity.ts";
import type { Method } from "../core/method.ts";
import { DEADLINE_KEY } from "../transport/index.ts";

/** The context of a call that arrived over nice-grpc's server: nice-grpc's own, and what it leaves out. */
export class NiceContext implements CallContext {
  readonly method: Method;
  readonly deadlineAt: number;
  /** The rest of nice-grpc's middleware chain, down to the handler. */
  readonly next: ServerMiddlewareCall<unknown, unknown>["next"];
  readonly #context: NiceCallContext;
  readonly #clock: Clock;
  readonly #wallDeadline: number;
  #identity: Identity | undefined;

  constructor(method: Method, next: NiceContext["next"], context: NiceCallContext, clock: Clock) {
    this.method = method;
    this.next = next;
    this.#context = context;
    this.#clock = clock;
    this.#wallDeadline = Number(context.metadata.get(DEADLINE_KEY) ?? NO_DEADLINE);
    context.metadata.delete(DEADLINE_KEY);
    this.deadlineAt =
      this.#wallDeadline === NO_DEADLINE ? NO_DEADLINE : clock.now() + this.#wallDeadline - clock.wallTime();
  }

  get metadata(): Metadata {
    return this.#context.metadata;
  }

  get peer(): string {
    return this.#context.peer;
  }

  get header(): Metadata {
    return this.#context.header;
  }

  get trailer(): Metadata {
    return this.#context.trailer;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get deadline(): Date | undefined {
    return this.#wallDeadline === NO_DEADLINE ? undefined : new Date(this.#wallDeadline);
  }

  get identity(): Identity {
    this.#identity ??= peerIdentity(this.peer);
    return this.#identity;
  }

  set identity(identity: Identity) {
    this.#identity = identity;
  }

  remainingMs(): number {
    return Math.max(0, this.deadlineAt - this.#clock.now());
  }

  sendHeader(): void {
    this.#context.sendHeader();
  }
}
