import type { Call } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import type { LimitPermit } from "../../policy/adaptive-limit.ts";
import { settleLimit, settleLimitLeft } from "../../policy/limit-verdict.ts";

/** An attempt made with leave of the target's limit, which is given back with how it went. */
export class LimitedAttempt {
  readonly #permit: LimitPermit;
  readonly #call: Call;
  readonly #clock: Clock;
  readonly #stalledBefore: number;

  constructor(permit: LimitPermit, call: Call, clock: Clock) {
    this.#permit = permit;
    this.#call = call;
    this.#clock = clock;
    this.#stalledBefore = clock.stalledMs?.(call.startedAt) ?? 0;
  }

  /** An upload takes as long as its sender does, which is no measure of the target. */
  succeeded(): void {
    if (this.#call.method.requestStream) return this.#permit.ignore();
    const now = this.#clock.now();
    this.#permit.success(this.#excusedMs(now), now);
  }

  /** A stream is open: for how long is for its reader to say, and no measure of the target either. */
  opened(): void {
    this.#permit.ignore();
  }

  failed(error: unknown): void {
    const { signal } = this.#call;
    if (signal?.aborted) settleLimitLeft(this.#permit, signal.reason, this.#excusedMs());
    else settleLimit(this.#permit, RpcError.from(error), this.#excusedMs());
  }

  /** For how long the process has stood still meanwhile. */
  #excusedMs(until?: number): number {
    return (this.#clock.stalledMs?.(until) ?? 0) - this.#stalledBefore;
  }
}
