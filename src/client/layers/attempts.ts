import type { AttemptFailure, RetryStop } from "../../core/attempts.ts";
import type { Call } from "../../core/call.ts";
import { RpcError } from "../../core/errors.ts";
import { PREVIOUS_ATTEMPTS } from "../../core/metadata-keys.ts";
import { statusName } from "../../core/status.ts";
import { Retry } from "../../policy/retry.ts";
import { pushbackOf } from "../../transport/index.ts";
import { mostAttempts, REJECTIONS } from "./attempt-rules.ts";
import { endedBy } from "./ended-by.ts";
import type { RetryContext } from "./retry.ts";
import { Wait } from "./wait.ts";

/** The attempts of one call: which one is to be made, and what the ones before ended with. */
export class Attempts {
  readonly #context: RetryContext;
  readonly #call: Call;
  /** Made at the first failure. */
  #retry: Retry | undefined;
  readonly #failures: AttemptFailure[] = [];
  #lastError: RpcError | undefined;
  /** Made when there is one. */
  #waits: Wait | undefined;

  constructor(context: RetryContext, call: Call) {
    this.#context = context;
    this.#call = call;
  }

  get call(): Call {
    return this.#call;
  }

  /**
   * What the next attempt is made with.
   *
   * @throws what the call ends with, if there must not be one: its caller has left, or its deadline passed during the
   *   wait.
   */
  begin(): Call {
    const { deadline, headers, signal } = this.#call;
    if (signal?.aborted) return this.#giveUp(signal.reason);
    if (!this.#lastError) return this.#call;
    const startedAt = this.#context.clock.now();
    if (startedAt >= deadline) {
      this.abandoned();
      throw this.#end(this.#lastError, "DEADLINE");
    }
    const attempt = this.#attempt;
    const previous = { ...headers, [PREVIOUS_ATTEMPTS]: String(attempt - 1) };
    return { ...this.#call, attempt, startedAt, headers: previous };
  }

  /**
   * Waits before `begin`. Ends early, without an error, when the caller leaves, the client is closed, or `wake` is
   * called: what then becomes of the call, `begin` says, or the attempt.
   */
  async wait(delayMs: number): Promise<void> {
    await this.#wait.for(delayMs);
  }

  wake(): void {
    this.#wait.end();
  }

  succeeded(): void {
    if (this.#retry) this.#retry.succeeded();
    else this.#context.share.throttling.success();
  }

  /** Nothing more is tried, and nobody is to be told why. */
  abandoned(): void {
    this.#retry?.abandoned();
  }

  /**
   * The current attempt failed.
   *
   * @returns how long to wait before `begin`, in milliseconds.
   * @throws what the call ends with, if there is no further attempt.
   */
  failed(error: unknown): number {
    const { signal, method, deadline } = this.#call;
    if (signal?.aborted) return this.#giveUp(signal.reason);
    const failure = RpcError.from(error, method.path);
    // A mistake of the program, not of the target; it is told as it is.
    if (failure.reason === "UNEXPECTED" && !(error instanceof RpcError)) return this.#giveUp(error);
    const { code, headersReceived: committed, reason } = failure;
    const rejected = REJECTIONS.has(reason);
    const pushbackMs = failure.trailer && pushbackOf(failure.trailer);
    const { options, share, random, clock } = this.#context;
    this.#retry ??= new Retry(options, share, random, mostAttempts(this.#call.options));
    this.#note(failure);
    const timedOut = reason === "ATTEMPT_TIMEOUT";
    const decision = this.#retry.failed(
      { code, committed, pushbackMs, timedOut, rejected, drained: reason === "DRAINING" },
      deadline - clock.now(),
    );
    if (!decision.retry) throw this.#end(failure, decision.stop, pushbackMs);
    this.#lastError = failure;
    const { delayMs, because } = decision;
    const detail = { attempt: this.#attempt, delayMs, because, status: statusName(code) };
    this.#context.report?.(this.#call, "scheduled", detail);
    return delayMs;
  }

  /**
   * The current attempt broke after its headers had come, which no other may follow (rule R3).
   *
   * @returns what the call ends with.
   */
  broke(failure: RpcError): RpcError {
    this.#note(failure);
    return this.#end(failure, "COMMITTED");
  }

  get #wait(): Wait {
    this.#waits ??= new Wait(this.#context.clock, [this.#call.signal, this.#context.closed]);
    return this.#waits;
  }

  get #attempt(): number {
    return this.#retry?.attempt ?? 1;
  }

  #note({ attempts, code, reason, details }: RpcError): void {
    if (attempts > 0) this.#failures.push({ attempt: this.#attempt, code, reason, details });
  }

  #giveUp(error: unknown): never {
    this.abandoned();
    throw error;
  }

  #end(failure: RpcError, retryStop: RetryStop, pushbackMs?: number): RpcError {
    const earlier = retryStop === "REJECTED" ? this.#lastError : undefined;
    const failures = this.#failures;
    if (retryStop !== "NOT_RETRYABLE" && failures.length > 0) {
      const detail = { because: retryStop, attempts: failures.length, status: statusName(failure.code) };
      this.#context.report?.(this.#call, "denied", detail);
    }
    return endedBy(retryStop, earlier ?? failure, { failures, rejection: earlier && failure, pushbackMs });
  }
}
