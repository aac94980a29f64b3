import {
  ClientError,
  type ClientMiddlewareCall,
  Metadata,
  type CallOptions as NiceCallOptions,
} from "nice-grpc-common";
import type { Call, Reply } from "../core/call.ts";
import type { Clock, Timer } from "../core/clock.ts";
import { NO_DEADLINE, toGrpcTimeout } from "../core/deadline.ts";
import { RpcError } from "../core/errors.ts";
import { statusError } from "../core/status-error.ts";
import { localCause } from "./local-status.ts";

/** What an attempt over nice-grpc needs of its call: the rest of the middleware chain, and the options of others. */
export interface NiceCarrier {
  readonly next: ClientMiddlewareCall<unknown, unknown>["next"];
  readonly options: NiceCallOptions;
}

type Messages = AsyncGenerator<unknown, unknown, undefined>;

/** One attempt over nice-grpc's `call.next`: what goes in, and what is learned of it on the way. */
export class NiceWire {
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #controller = new AbortController();
  #timer: Timer | undefined;
  #expired = false;
  #header: Metadata | undefined;
  #trailer: Metadata | undefined;
  #onGivenUp: (() => void) | undefined;

  constructor(call: Call, clock: Clock) {
    this.#call = call;
    this.#clock = clock;
  }

  /**
   * Hands the call on; nothing is sent before the generator's first `next()`.
   *
   * @param onGivenUp is called when the caller leaves or its deadline passes before `end()`.
   */
  begin(onHeader?: (header: Metadata) => void, onGivenUp?: () => void): Messages {
    const { signal, deadline, request, carrier } = this.#call;
    if (signal?.aborted) throw signal.reason;
    this.#onGivenUp = onGivenUp;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (deadline !== NO_DEADLINE) this.#timer = this.#clock.setTimer(deadline - this.#clock.now(), this.#onDeadline);
    const { next, options } = carrier as NiceCarrier;
    return next(request, {
      ...options,
      metadata: this.#metadata(),
      signal: this.#controller.signal,
      onHeader: (header) => {
        this.#header = header;
        onHeader?.(header);
      },
      onTrailer: (trailer) => {
        this.#trailer = trailer;
      },
    });
  }

  /** Cancels the attempt on the wire. */
  cancel(): void {
    this.#controller.abort();
  }

  /** Leaves no timer and no listener behind. */
  end(): void {
    this.#timer?.cancel();
    this.#call.signal?.removeEventListener("abort", this.#onAbort);
  }

  get trailer(): Metadata {
    return this.#trailer ?? new Metadata();
  }

  reply(message: unknown): Reply {
    return { message, header: this.#header ?? new Metadata(), trailer: this.trailer };
  }

  /** What the attempt ended with: the caller's reason if the caller left, otherwise an `RpcError`. */
  toError(error: unknown): unknown {
    const { signal, method, deadline } = this.#call;
    if (signal?.aborted) return signal.reason;
    const { path } = method;
    const headersReceived = this.#header !== undefined;
    if (this.#expired)
      return new RpcError({ path, reason: "DEADLINE_EXCEEDED", details: "deadline exceeded", headersReceived });
    if (!(error instanceof ClientError) || error instanceof RpcError) return error;
    const { code, details } = error;
    const expired = this.#clock.now() >= deadline;
    const cause = localCause(details);
    return statusError({ path, code, details, headersReceived, trailer: this.trailer, cause, expired });
  }

  #metadata(): Metadata {
    const metadata = new Metadata(this.#call.metadata);
    const { headers } = this.#call;
    if (headers) for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
    // Read when the attempt begins: what is left then is what the server may take.
    const timeout = toGrpcTimeout(this.#call.deadline - this.#clock.now());
    if (timeout !== undefined) metadata.set("grpc-timeout", timeout);
    return metadata;
  }

  readonly #onAbort = () => {
    this.#controller.abort(this.#call.signal?.reason);
    this.#onGivenUp?.();
  };

  readonly #onDeadline = () => {
    this.#expired = true;
    this.#controller.abort();
    this.#onGivenUp?.();
  };
}
