import type { ClaimOutcome } from "../../policy/idempotency.ts";
import type { Held } from "./run.ts";
import { type ClaimWish, idOf } from "./store.ts";

/**
 * The handlers of one method that run in this server and have committed nothing yet. Their repetitions are told so
 * here, and the store is not asked: where it did not hear a renewal in time, or the process stood still, it would have
 * one take over a handler that is alive.
 */
export class OwnRuns {
  readonly #held = new Map<string, Held>();

  begin(held: Held): void {
    this.#held.set(idOf(held.claim), held);
  }

  /** The handler that runs under this key, also one that has lost its claim. */
  known(wish: ClaimWish): Held | undefined {
    return this.#held.get(idOf(wish));
  }

  /**
   * A wish was granted: where a handler runs here that was not known, or had not lost its claim, when the store was
   * asked, the store gave its claim away, having heard no renewal in time. It has lost it from now on.
   *
   * @returns what resolves when that one is over; undefined if there is none.
   */
  displace(wish: ClaimWish, known: Held | undefined): Promise<void> | undefined {
    const before = this.known(wish);
    if (!before || before === known) return undefined;
    before.lease.lose();
    return before.over.promise;
  }

  end(held: Held): void {
    const id = idOf(held.claim);
    // Another may have begun since, if this one had lost its claim.
    if (this.#held.get(id) === held) this.#held.delete(id);
  }

  /** What a wish comes upon here; undefined if the store is to say. */
  meet(wish: ClaimWish): Extract<ClaimOutcome, { state: "conflict" | "running" }> | undefined {
    const held = this.#held.get(idOf(wish));
    if (!held || held.lease.lost.aborted) return undefined;
    if (held.claim.fingerprint !== wish.fingerprint) return { state: "conflict" };
    return { state: "running", leaseMs: held.claim.leaseMs };
  }
}
