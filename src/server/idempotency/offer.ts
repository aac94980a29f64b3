import { type Clock, sleep } from "../../core/clock.ts";
import { fail } from "../../core/errors.ts";
import { answered } from "./answered.ts";
import type { Claim, IdempotencyStore } from "./store.ts";

/** After how many milliseconds an answer that the store did not take is offered again, the first time. */
const FIRST_AGAIN_MS = 50;

/** How often an answer is offered within a lease, at the least: so two tries may come to nothing. */
const OFFERS = 3;

/**
 * Has the store keep an answer: tries again until the next try would come when a lease has passed, since another server
 * may be at work by then. Whichever try is answered first decides, since of one owner's answers the first one holds.
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
  const mostMs = claim.leaseMs / OFFERS;
  for (let delayMs = FIRST_AGAIN_MS; ; delayMs *= 2) {
    const offeredAt = clock.now();
    const patienceMs = Math.min(mostMs, giveUpAt - offeredAt);
    try {
      return await answered(clock, patienceMs, Promise.race([heard.promise, complete()]));
    } catch (cause) {
      onError(cause);
      const againAt = Math.max(clock.now(), offeredAt + Math.min(delayMs, mostMs));
      if (againAt >= giveUpAt) throw cause;
      await sleep(clock, againAt - clock.now());
    }
  }
}

/** What a call ends with whose answer the store did not take. */
export function notKept(cause: unknown): never {
  const details = "the work is done, and its answer could not be kept: a repetition may do it again";
  return fail("UNAVAILABLE", details, { pushbackMs: -1, cause });
}
