import type { Clock } from "../core/clock.ts";
import type { Random } from "../core/random.ts";
import { SlidingCounts } from "./sliding-counts.ts";

/** When a client rejects calls itself. */
export interface ClientThrottleOptions {
  /** How many requests there may be for each that the target accepts. */
  readonly k: number;
  /** How far back requests count, in milliseconds. */
  readonly windowMs: number;
}

/** Leave to make one call, to be given back once with its outcome; whatever comes after that does nothing. */
export interface ThrottlePermit {
  readonly granted: true;
  /** The target took it on, however it ended. */
  success(): void;
  /** The target rejected it. */
  failure(): void;
  /** It never came to the target, or nobody knows. */
  ignore(): void;
}

/** No leave. */
export interface ThrottleRejection {
  readonly granted: false;
  /** With which probability it was rejected. */
  readonly probability: number;
}

/** What a throttle stands at. */
export interface ClientThrottleSnapshot {
  /** In the window: calls whose outcome is known, and those that were rejected here. */
  readonly requests: number;
  /** Those of them that the target accepted. */
  readonly accepts: number;
  /** With which the next call is rejected. */
  readonly probability: number;
}

const REQUESTS = 0;
const ACCEPTS = 1;

let settle: (throttle: ClientThrottle, accepted: boolean) => void;

class Permit implements ThrottlePermit {
  readonly granted = true;
  readonly #throttle: ClientThrottle;
  #settled = false;

  constructor(throttle: ClientThrottle) {
    this.#throttle = throttle;
  }

  success(): void {
    this.#settle(true);
  }

  failure(): void {
    this.#settle(false);
  }

  ignore(): void {
    this.#settled = true;
  }

  #settle(accepted: boolean): void {
    if (this.#settled) return;
    this.#settled = true;
    settle(this.#throttle, accepted);
  }
}

/**
 * Rejects calls in the client while the target rejects them, with probability
 * max(0, (requests − k · accepts) / (requests + 1)) (SRE book, "Handling Overload"): rejecting costs a target work too.
 *
 * A call counts when its outcome is known. Counted when it begins, a burst of calls under way would look like as many
 * that were not accepted.
 */
export class ClientThrottle {
  #options: ClientThrottleOptions;
  readonly #clock: Pick<Clock, "now">;
  readonly #random: Random;
  #counts: SlidingCounts;

  static {
    settle = (throttle, accepted) => throttle.#count(throttle.#clock.now(), accepted);
  }

  constructor(options: ClientThrottleOptions, clock: Pick<Clock, "now">, random: Random) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#counts = new SlidingCounts(options.windowMs, 2);
  }

  /** Goes by other options from here on. In a window of another length, it counts anew. */
  adjust(options: ClientThrottleOptions): void {
    if (options.windowMs !== this.#options.windowMs) this.#counts = new SlidingCounts(options.windowMs, 2);
    this.#options = options;
  }

  /** Leave to make a call now, or the probability of having none. @param now if that has been looked at already. */
  tryAcquire(now: number = this.#clock.now()): ThrottlePermit | ThrottleRejection {
    this.#counts.advance(now);
    const probability = this.#probability(this.#counts.total(REQUESTS), this.#counts.total(ACCEPTS));
    if (probability === 0 || this.#random() >= probability) return new Permit(this);
    this.#count(now, false);
    return { granted: false, probability };
  }

  snapshot(): ClientThrottleSnapshot {
    const now = this.#clock.now();
    const requests = this.#counts.totalAt(REQUESTS, now);
    const accepts = this.#counts.totalAt(ACCEPTS, now);
    return { requests, accepts, probability: this.#probability(requests, accepts) };
  }

  #probability(requests: number, accepts: number): number {
    return Math.max(0, (requests - this.#options.k * accepts) / (requests + 1));
  }

  #count(now: number, accepted: boolean): void {
    this.#counts.advance(now);
    this.#counts.add(REQUESTS);
    if (accepted) this.#counts.add(ACCEPTS);
  }
}
