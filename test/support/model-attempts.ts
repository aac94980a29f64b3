import type { Call, Reply } from "../../src/core/call.ts";
import type { Clock, Timer } from "../../src/core/clock.ts";
import { NO_DEADLINE } from "../../src/core/deadline.ts";
import { RpcError } from "../../src/core/errors.ts";
import { DONE, type MessageStream, type StreamWatcher, Watchers } from "../../src/core/message-stream.ts";
import { Status } from "../../src/core/status.ts";
import { Metadata } from "../../src/transport/index.ts";
import { aReply } from "./scripted.ts";

type Next = IteratorResult<unknown, undefined>;

/**
 * An attempt that keeps deadline and signal as real ones do, and whose answers a test gives. One that comes when the
 * attempt is over goes nowhere, as on the wire.
 */
export abstract class ModelAttempt {
  readonly call: Call;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  begun = false;
  over = false;
  headersReceived = false;

  constructor(call: Call, clock: Clock) {
    this.call = call;
    this.#clock = clock;
  }

  protected begin(): void {
    const { signal, deadline } = this.call;
    this.begun = true;
    if (signal?.aborted) return this.end(() => this.abort(signal.reason));
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (deadline !== NO_DEADLINE) {
      this.#timer = this.#clock.setTimer(deadline - this.#clock.now(), () => this.fail(this.#exceeded()));
    }
  }

  /** Ends it, unless it is over. */
  protected end(tell: () => void): void {
    if (this.over) return;
    this.over = true;
    this.#timer?.cancel();
    this.call.signal?.removeEventListener("abort", this.#onAbort);
    tell();
  }

  headers(): void {
    if (!this.over) this.headersReceived = true;
  }

  abstract message(): void;
  abstract succeed(): void;
  abstract fail(error: unknown): void;
  protected abstract abort(reason: unknown): void;

  readonly #onAbort = () => this.end(() => this.abort(this.call.signal?.reason));

  #exceeded(): RpcError {
    const { headersReceived, call } = this;
    const said = { reason: "DEADLINE_EXCEEDED", code: Status.DEADLINE_EXCEEDED, details: "late" } as const;
    return new RpcError({ path: call.method.path, ...said, headersReceived });
  }
}

/** A unary attempt. */
export class ModelUnary extends ModelAttempt {
  readonly #reply = Promise.withResolvers<Reply>();

  constructor(call: Call, clock: Clock) {
    super(call, clock);
    this.begin();
  }

  get reply(): Promise<Reply> {
    return this.#reply.promise;
  }

  message(): void {
    this.headers();
  }

  succeed(): void {
    this.end(() => this.#reply.resolve(aReply("reply")));
  }

  fail(error: unknown): void {
    this.end(() => this.#reply.reject(error));
  }

  protected abort(reason: unknown): void {
    this.#reply.reject(reason);
  }
}

/** A stream's attempt. */
export class ModelStream extends ModelAttempt implements MessageStream {
  readonly #watchers = new Watchers();
  readonly #onBegin: () => void;
  #messages: unknown[] = [];
  #waiting: PromiseWithResolvers<Next>[] = [];
  #failure: { readonly error: unknown } | undefined;
  #sent = 0;

  constructor(call: Call, clock: Clock, onBegin: () => void) {
    super(call, clock);
    this.#onBegin = onBegin;
  }

  watch(watcher: StreamWatcher): void {
    this.#watchers.add(watcher);
  }

  next(): Promise<Next> {
    if (!this.begun && !this.over) {
      this.#onBegin();
      this.begin();
    }
    const waiter = Promise.withResolvers<Next>();
    this.#waiting.push(waiter);
    this.#settle();
    return waiter.promise;
  }

  return(): Promise<Next> {
    this.#messages = [];
    this.#failure = undefined;
    this.end(() => this.#watchers.end({ outcome: "cancelled" }));
    this.#settle();
    return Promise.resolve(DONE);
  }

  override headers(header: Metadata = new Metadata()): void {
    super.headers();
    if (!this.over) this.#watchers.headers(() => header);
  }

  /** @param message default: how many there were. */
  message(message?: unknown): void {
    if (this.over) return;
    this.headers();
    this.#watchers.firstMessage();
    this.#sent += 1;
    this.#messages.push(message ?? this.#sent);
    this.#settle();
  }

  /** What has come and nobody has read is lost, as grpc-js has it where the status is not OK. */
  lose(): void {
    this.#messages = [];
  }

  succeed(): void {
    this.end(() => this.#watchers.end({ outcome: "ok" }));
    this.#settle();
  }

  fail(error: unknown): void {
    this.end(() => {
      this.#failure = { error };
      this.#watchers.end({ outcome: "error", error: RpcError.from(error) });
    });
    this.#settle();
  }

  protected abort(reason: unknown): void {
    this.#messages = [];
    this.#failure = { error: reason };
    this.#watchers.end({ outcome: "cancelled" });
    this.#settle();
  }

  #settle(): void {
    while (this.#waiting.length > 0 && this.#messages.length > 0) {
      this.#waiting.shift()?.resolve({ done: false, value: this.#messages.shift() });
    }
    if (!this.over) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { resolve, reject } of waiting) {
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure) reject(failure.error);
      else resolve(DONE);
    }
  }
}
