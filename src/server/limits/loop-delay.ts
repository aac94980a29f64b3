import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../../core/clock.ts";

/** How often libuv looks, in milliseconds; it runs no JavaScript for it, and does not keep the process alive. */
const RESOLUTION_MS = 20;

/** How long a look back is at least, in milliseconds: one pause of the garbage collector is no load. */
const WINDOW_MS = 250;

const NANOSECONDS_PER_MS = 1_000_000;

/**
 * How far this process's event loop lags: what each step of each call waits for, whatever limits say. Looked at from
 * when somebody first asks.
 */
export class LoopDelay {
  readonly #clock: Pick<Clock, "now">;
  #histogram: ReturnType<typeof monitorEventLoopDelay> | undefined;
  #since = 0;
  #delayMs = 0;

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** Its average over the last quarter of a second or more, in milliseconds. */
  readonly read = (): number => {
    const now = this.#clock.now();
    const histogram = this.#histogram ?? this.#begin(now);
    const elapsedMs = now - this.#since;
    if (elapsedMs < WINDOW_MS) return this.#delayMs;
    const { count, mean } = histogram;
    // Where it has not come to look at all, the loop has stood still since.
    const betweenMs = count > 0 ? mean / NANOSECONDS_PER_MS : elapsedMs;
    this.#delayMs = Math.max(0, betweenMs - RESOLUTION_MS);
    this.#since = now;
    histogram.reset();
    return this.#delayMs;
  };

  #begin(now: number): ReturnType<typeof monitorEventLoopDelay> {
    this.#histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.#histogram.enable();
    this.#since = now;
    return this.#histogram;
  }
}
