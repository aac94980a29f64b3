import type { Clock, Timer } from "../../core/clock.ts";
import { silence } from "./answered.ts";
import type { Claim, IdempotencyStore } from "./store.ts";

/** How often a claim is renewed while it lasts: where one renewal fails, the next still comes in time. */
const RENEWALS = 3;

/** Holds a claim for as long as its handler runs. */
export class Lease {
  readonly #store: IdempotencyStore;
  readonly #claim: Claim;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #lost = new AbortController();
  #timer: Timer | undefined;
  /** When the next renewal is made. */
  #dueAt = Number.POSITIVE_INFINITY;
  /** When the first renewal was made of those since the store last answered one; undefined if it has answered them. */
  #silentSince: number | undefined;
  #ended = false;
  /** What the store has not answered yet. */
  readonly #asked = new Set<Promise<void>>();

  /**
   * @param askedAt when the store was asked for the claim: it may hold since then, however late that was answered.
   * @param onError is told when a renewal fails or is not answered; the next one may succeed.
   */
  constructor(store: IdempotencyStore, claim: Claim, clock: Clock, askedAt: number, onError: (error: unknown) => void) {
    this.#store = store;
    this.#claim = claim;
    this.#clock = clock;
    this.#onError = onError;
    this.#schedule(clock.now() - askedAt);
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

  /** Resolves when every renewal that was made is answered; if one never is, not at all. */
  async settled(): Promise<void> {
    await Promise.all(this.#asked);
  }

  /**
   * A renewal that is not answered keeps no later one from being made. But each of them may hold one of the store's
   * connections for as long as it is not answered, so they must stay few. Past the renewals of one lease, which are the
   * ones that count, the store is asked anew when it has been silent for as long again: with a lease of 10 s twelve
   * times in an hour.
   */
  #schedule(passedMs = 0): void {
    this.#timer?.cancel();
    const delayMs = Math.max(0, Math.max(this.#claim.leaseMs / RENEWALS, this.#silentMs) - passedMs);
    this.#dueAt = this.#clock.now() + delayMs;
    this.#timer = this.#clock.setTimer(delayMs, () => this.#renew());
  }

  get #silentMs(): number {
    return this.#silentSince === undefined ? 0 : this.#clock.now() - this.#silentSince;
  }

  #renew(): void {
    if (this.#silentSince !== undefined) this.#onError(silence(this.#silentMs));
    this.#silentSince ??= this.#clock.now();
    const asked = this.#ask();
    this.#asked.add(asked);
    void asked.then(() => this.#asked.delete(asked));
    if (!this.#ended) this.#schedule();
  }

  async #ask(): Promise<void> {
    try {
      const held = await this.#store.renew(this.#claim);
      // Whichever of them is answered so, and however late: what is another's never comes back.
      if (!held && !this.#ended) this.lose();
    } catch (error) {
      this.#onError(error);
    }
    this.#hear();
  }

  /**
   * The store answers again: the next renewal is not to wait for as long as it was silent. Nor is one put off: the lease
   * that is heard of began when it was asked for.
   */
  #hear(): void {
    this.#silentSince = undefined;
    const soonAt = this.#clock.now() + this.#claim.leaseMs / RENEWALS;
    if (soonAt < this.#dueAt && !this.#ended) this.#schedule();
  }
}
