import type { AttemptFailure, RetryStop } from "../../core/attempts.ts";
import type { RpcError } from "../../core/errors.ts";
import { endedBy } from "./ended-by.ts";

/** What the attempts of one hedged call ended with. */
export class HedgeFailures {
  readonly #failures: AttemptFailure[] = [];
  #last: RpcError | undefined;
  /** What the client itself refused an attempt with. */
  #rejection: RpcError | undefined;

  /** An attempt failed. @param rejected the client itself refused it. */
  add(attempt: number, failure: RpcError, rejected: boolean): void {
    if (rejected) this.#rejection = failure;
    else this.#last = failure;
    if (failure.attempts > 0) this.#note(attempt, failure);
  }

  /** An attempt was under way when another one's failure ended the call. */
  addCancelled(attempt: number, why: RpcError): void {
    this.#note(attempt, why);
  }

  /**
   * What the call ends with: the failure that came last off an attempt (gRFC A6), and why nothing more is sent; the
   * client's own refusal only where no attempt was sent.
   *
   * @param pushbackMs what the server said with it on when to send another.
   */
  toError(stop: RetryStop, pushbackMs: number | undefined): RpcError | undefined {
    const said = this.#last ?? this.#rejection;
    const rejection = stop === "REJECTED" && this.#last ? this.#rejection : undefined;
    const failures = this.#failures.sort((a, b) => a.attempt - b.attempt);
    return said && endedBy(stop, said, { failures, rejection, pushbackMs });
  }

  #note(attempt: number, { code, reason, details }: RpcError): void {
    this.#failures.push({ attempt, code, reason, details });
  }
}
