import type { Random } from "../core/random.ts";

/** How a wait is drawn from its bound b. */
export type Jitter = "full" | "equal" | "decorrelated" | "a6";

/** How waits between attempts grow. */
export interface BackoffOptions {
  /** Bound of the first wait, in milliseconds. */
  readonly initialBackoffMs: number;
  /** Bound of every wait, in milliseconds. */
  readonly maxBackoffMs: number;
  /** What the bound grows by from one wait to the next. */
  readonly multiplier: number;
  /**
   * - `full`: from 0 to b, the fewest calls under contention (AWS, "Exponential Backoff And Jitter");
   * - `equal`: from b/2 to b;
   * - `decorrelated`: from the initial backoff to three times the last wait, at most the greatest backoff;
   * - `a6`: b · 0.8 to 1.2 (gRFC A6).
   */
  readonly jitter: Jitter;
}

/**
 * The waits between the attempts of one call (rule R1): before retry n, the bound is
 * `min(initialBackoffMs · multiplier^(n−1), maxBackoffMs)`.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: Random;
  #waits = 0;
  #lastMs: number;

  constructor(options: BackoffOptions, random: Random) {
    this.#options = options;
    this.#random = random;
    this.#lastMs = options.initialBackoffMs;
  }

  /** The next wait, in milliseconds. */
  next(): number {
    const { initialBackoffMs, maxBackoffMs, multiplier, jitter } = this.#options;
    if (jitter === "decorrelated") {
      const drawn = initialBackoffMs + this.#random() * (this.#lastMs * 3 - initialBackoffMs);
      this.#lastMs = Math.min(drawn, maxBackoffMs);
      return this.#lastMs;
    }
    const bound = Math.min(initialBackoffMs * multiplier ** this.#waits, maxBackoffMs);
    this.#waits += 1;
    if (jitter === "a6") return bound * (0.8 + 0.4 * this.#random());
    return jitter === "equal" ? bound * (0.5 + 0.5 * this.#random()) : bound * this.#random();
  }

  /** Starts anew, as after a pushback (gRFC A6). */
  reset(): void {
    this.#waits = 0;
    this.#lastMs = this.#options.initialBackoffMs;
  }
}
