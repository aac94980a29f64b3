import type { Clock, Timer } from "../../core/clock.ts";
import type { Claim, IdempotencyStore } from "./store.ts";

/** How often a claim is renewed while it lasts: so two renewals may fail. */
const RENEWALS = 3;

/** Holds a claim for as long as its handler runs. */
export class Lease {
  readonly #store: IdempotencyStore;
  readonly #claim: Claim;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #lost = new AbortController();
  #timer: Timer | undefined;
  #ended = false;

  /** @param onError is told when a renewal fails; the next one may succeed. */
  constructor(store: IdempotencyStore, claim: Claim, clock: Clock, onError: (error: unknown) => void) {
    this.#store = store;
    this.#claim = claim;
    this.#clock = clock;
    this.#onError = onError;
    this.#schedule();
  }

  /** Aborts when another server has taken the claim over: whatever the handler comes to is refused. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Takes it for lost. */
  lose(): void {
    this.end();
    this.#lost.abort(new DOMException("Another server has taken this call over", "AbortError"));
  }

  /** Renews it no longer. */
  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    this.#timer = this.#clock.setTimer(this.#claim.leaseMs / RENEWALS, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    try {
      const held = await this.#store.renew(this.#claim);
      if (!held && !this.#ended) this.lose();
    } catch (error) {
      this.#onError(error);
    }
    if (!this.#ended) this.#schedule();
  }
}
