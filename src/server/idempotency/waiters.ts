import type { Clock } from "../../core/clock.ts";

/** Calls that wait for another one under the same key, which this process may run or another. */
export class Waiters {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when `delayMs` have passed, when the key is woken, or when the signal aborts. */
  async wait(key: string, delayMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const timer = this.#clock.setTimer(delayMs, wake);
    const others = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, others.add(wake));
    signal.addEventListener("abort", wake, { once: true });
    await promise;
    timer.cancel();
    signal.removeEventListener("abort", wake);
    others.delete(wake);
    if (others.size === 0 && this.#waiting.get(key) === others) this.#waiting.delete(key);
  }

  /** The call that has the key has ended in this process. */
  wake(key: string): void {
    for (const wake of this.#waiting.get(key) ?? []) wake();
  }
}
