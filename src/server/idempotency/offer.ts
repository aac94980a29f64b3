import { type Clock, sleep } from "../../core/clock.ts";
import { answered } from "./answered.ts";
import type { Claim, IdempotencyStore } from "./store.ts";

/** After how many milliseconds an answer that the store did not take is offered again, the first time. */
const FIRST_AGAIN_MS = 50;

/** How often an answer is offered within a lease to a store that says nothing: so two tries may come to nothing. */
const OFFERS = 3;

/**
 * Has the store keep an answer: tries for as long as a lease, since after that another server may be at work already.
 * Whichever try is answered first decides, since of one owner's answers the first one holds.
 *
 * @param onError is told of each try that fails or is not answered.
 * @returns false if the owner has the claim no longer.
 * @throws what the last try failed with.
 */
export async function offer(
  store: IdempotencyStore,
  claim: Claim,
  answer: Uint8Array,
  clock: Clock,
  onError: (error: unknown) => void,
): Promise<boolean> {
  const giveUpAt = clock.now() + claim.leaseMs;
  const heard = Promise.withResolvers<boolean>();
  const complete = async () => {
    const kept = await store.complete(claim, answer);
    heard.resolve(kept);
    return kept;
  };
  for (let delayMs = FIRST_AGAIN_MS; ; delayMs *= 2) {
    const offeredAt = clock.now();
    const patienceMs = Math.min(claim.leaseMs / OFFERS, giveUpAt - offeredAt);
    try {
      return await answered(clock, patienceMs, Promise.race([heard.promise, complete()]));
    } catch (cause) {
      onError(cause);
      const againAt = Math.max(clock.now(), offeredAt + delayMs);
      if (againAt >= giveUpAt) throw cause;
      await sleep(clock, againAt - clock.now());
    }
  }
}
