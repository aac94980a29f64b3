import type { AdaptiveLimitSnapshot, LimitPermit } from "./adaptive-limit.ts";

/** A bound on calls that run, whether fixed or following their latency. */
export interface ConcurrencyLimit {
  /** Leave to begin one now; undefined if as many as may run. */
  tryAcquire(): LimitPermit | undefined;
  snapshot(): Pick<AdaptiveLimitSnapshot, "limit" | "inFlight">;
}

/** A bound that stays what it is, whatever becomes of the calls. */
export class FixedLimit implements ConcurrencyLimit {
  readonly #limit: number;
  #inFlight = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  tryAcquire(): LimitPermit | undefined {
    if (this.#inFlight >= this.#limit) return undefined;
    this.#inFlight += 1;
    let given = false;
    const giveBack = () => {
      if (given) return;
      given = true;
      this.#inFlight -= 1;
    };
    return { success: giveBack, dropped: giveBack, timedOut: giveBack, ignore: giveBack };
  }

  snapshot(): Pick<AdaptiveLimitSnapshot, "limit" | "inFlight"> {
    return { limit: this.#limit, inFlight: this.#inFlight };
  }
}
