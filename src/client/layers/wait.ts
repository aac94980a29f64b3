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

  /**
   * Waits so long, or until some work is done.
   *
   * @returns what the work came to; undefined if the wait ended before.
   * @throws what the work failed with, unless the wait ended before.
   */
  async for<T>(delayMs: number, work?: Promise<T>): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    const wake = () => resolve(undefined);
    if (this.over) wake();
    work?.then(resolve, reject);
    const timer = this.#clock.setTimer(delayMs, wake);
    this.#wake = wake;
    for (const signal of this.#signals) signal?.addEventListener("abort", wake, { once: true });
    try {
      return await promise;
    } finally {
      timer.cancel();
      for (const signal of this.#signals) signal?.removeEventListener("abort", wake);
      this.#wake = undefined;
    }
  }

  /** Ends the wait, and every later one. */
  end(): void {
    this.#over = true;
    this.#wake?.();
  }
}
