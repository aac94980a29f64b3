/** A timer that can be taken back. */
export interface Timer {
  /** Takes the timer back; without effect once it fired. */
  cancel(): void;
}

/**
 * Where time comes from. Everything that waits or measures takes a clock as a parameter, so that tests and the
 * simulator can own time.
 */
export interface Clock {
  /** Milliseconds that only ever grow, from an arbitrary start. For durations and deadlines. */
  now(): number;
  /** Milliseconds since 1970, UTC. It may jump; only for what leaves the process. */
  wallTime(): number;
  /** Calls `fire` once, `delayMs` from now. Infinity never fires. */
  setTimer(delayMs: number, fire: () => void): Timer;
}

/** Node turns longer delays into 1 ms, so longer ones are waited for in steps. */
const LONGEST_DELAY_MS = 2_147_483_647;

class SystemTimer implements Timer {
  #handle: ReturnType<typeof setTimeout> | undefined;

  constructor(delayMs: number, fire: () => void) {
    if (delayMs !== Number.POSITIVE_INFINITY) this.#wait(delayMs, fire);
  }

  #wait(delayMs: number, fire: () => void): void {
    this.#handle =
      delayMs > LONGEST_DELAY_MS
        ? setTimeout(() => this.#wait(delayMs - LONGEST_DELAY_MS, fire), LONGEST_DELAY_MS)
        : setTimeout(fire, Math.max(0, Math.ceil(delayMs)));
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimer: (delayMs, fire) => new SystemTimer(delayMs, fire),
};

/**
 * Waits `delayMs` on the clock.
 *
 * @throws the signal's reason as soon as it aborts; the timer is taken back.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
