import type { Call, Reply } from "../../core/call.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { RpcError } from "../../core/errors.ts";
import type { Seat } from "../../policy/coalescing.ts";

/** A call that waits for an answer which others may wait for too, no longer than its own deadline and signal say. */
export class ReplyWaiter {
  readonly call: Call;
  readonly seat: Seat<unknown>;
  readonly reply: Promise<Reply>;
  readonly #settle: PromiseWithResolvers<Reply>;
  readonly #left: (reason: unknown) => void;
  #timer: Timer | undefined;
  #onAbort: (() => void) | undefined;

  /** @param left is told when it waits no longer, and why: its signal's reason, or that its time is over. */
  constructor(call: Call, seat: Seat<unknown>, left: (reason: unknown) => void) {
    this.call = call;
    this.seat = seat;
    this.#settle = Promise.withResolvers();
    this.reply = this.#settle.promise;
    this.#left = left;
  }

  /** @param deadline what is waited for ends by then itself: only an earlier deadline needs a timer. */
  watch(deadline: number, clock: Clock): void {
    const { call } = this;
    if (!this.#timer && call.deadline < deadline) {
      this.#timer = clock.setTimer(call.deadline - clock.now(), () => this.#expire());
    }
    if (this.#onAbort || !call.signal) return;
    this.#onAbort = () => this.#leave(call.signal?.reason, call.signal?.reason);
    call.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** @param make makes this waiter's own reply; what it throws is what the call ends with. */
  resolve(make: () => Reply): void {
    this.#cleanUp();
    try {
      this.#settle.resolve(make());
    } catch (error) {
      this.#settle.reject(error);
    }
  }

  reject(error: unknown): void {
    this.#cleanUp();
    this.#settle.reject(error);
  }

  #expire(): void {
    const details = "the deadline passed while the call was under way";
    const error = new RpcError({ path: this.call.method.path, reason: "DEADLINE_EXCEEDED", details });
    // By this name a breaker knows that the target has not answered in time.
    this.#leave(error, new DOMException(details, "TimeoutError"));
  }

  #leave(error: unknown, reason: unknown): void {
    this.reject(error);
    this.#left(reason);
  }

  #cleanUp(): void {
    this.#timer?.cancel();
    if (this.#onAbort) this.call.signal?.removeEventListener("abort", this.#onAbort);
  }
}
