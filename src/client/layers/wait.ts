import type { Clock } from "../../core/clock.ts";

/**
 * Waits between the attempts of one call. A wait ends early, without an error, when one of the signals aborts or `end`
 * is called: what then becomes of the call is for whoever waited to say.
 */
export class Wait {
  readonly #clock: Clock;
  readonly #signals: readonly (AbortSignal | undefined)[];
  #wake: (() => void) | undefined;
  #over = false;

  /** @param signals who may leave: the caller, and whoever closes the client. */
  constructor(clock: Clock, signals: readonly (AbortSignal | undefined)[]) {
    this.#clock = clock;
    this.#signals = signals;
  }

  /** Whether waiting makes no sense any more. */
  get over(): boolean {
    return this.#over || this.#signals.some((signal) => signal?.aborted);
  }

  async for(delayMs: number): Promise<void> {
    if (this.over) return;
    const { promise, resolve: wake } = Promise.withResolvers<void>();
    const onAbort = () => wake();
    const timer = this.#clock.setTimer(delayMs, onAbort);
    this.#wake = onAbort;
    for (const signal of this.#signals) signal?.addEventListener("abort", onAbort, { once: true });
    await promise;
    timer.cancel();
    for (const signal of this.#signals) signal?.removeEventListener("abort", onAbort);
    this.#wake = undefined;
  }

  /** Ends the wait, and every later one. */
  end(): void {
    this.#over = true;
    this.#wake?.();
  }
}
