/** When a target's failures stop its retries. */
export interface RetryThrottlingOptions {
  /** Tokens at the start, and the most there are. */
  readonly maxTokens: number;
  /** Tokens that a success gives back; the third decimal is the last that counts. */
  readonly tokenRatio: number;
}

/** What a throttle stands at. */
export interface RetryThrottlingSnapshot {
  readonly tokens: number;
  readonly maxTokens: number;
  /** Whether a retry would be let through. */
  readonly open: boolean;
}

const THOUSAND = 1_000;

/**
 * The retry throttle of a target (gRFC A6, rule R7): a failure takes a token, a success gives a part of one back, and
 * a retry or hedge needs more than half of them. It never makes a call wait.
 */
export class RetryThrottling {
  // In thousandths, so that sums of ratios are exact.
  #max: number;
  #gain: number;
  #tokens: number;

  constructor(options: RetryThrottlingOptions) {
    this.#max = options.maxTokens * THOUSAND;
    this.#gain = gainOf(options);
    this.#tokens = this.#max;
  }

  /** Goes by other options from here on; as full as it was (gRPC's own throttles do so when their config changes). */
  adjust(options: RetryThrottlingOptions): void {
    const max = options.maxTokens * THOUSAND;
    this.#tokens = this.#max === max ? this.#tokens : Math.round(this.#tokens * (max / this.#max));
    this.#max = max;
    this.#gain = gainOf(options);
  }

  /** An attempt succeeded. */
  success(): void {
    if (this.#tokens < this.#max) this.#tokens = Math.min(this.#tokens + this.#gain, this.#max);
  }

  /** An attempt failed in a way that is retried, or the server said not to retry. */
  failure(): void {
    this.#tokens = Math.max(this.#tokens - THOUSAND, 0);
  }

  /** Whether a retry or hedge may be made now. */
  allows(): boolean {
    return this.#tokens > this.#max / 2;
  }

  snapshot(): RetryThrottlingSnapshot {
    return { tokens: this.#tokens / THOUSAND, maxTokens: this.#max / THOUSAND, open: this.allows() };
  }
}

/** In thousandths. */
function gainOf({ tokenRatio }: RetryThrottlingOptions): number {
  return Math.floor(tokenRatio * THOUSAND + 1e-9);
}
