import type { ClaimOutcome, ClaimTerms } from "../../policy/idempotency.ts";

/** What an answer is kept under: one caller's key for one method. */
export interface IdempotencyId {
  /**
   * The identity's key: keys of different callers never meet. Well-formed text of at most 512 characters; one that is
   * not is hashed before.
   */
  readonly identity: string;
  /** `/package.Service/Method`. */
  readonly method: string;
  /** What the client sent: 1 to 255 printable ASCII characters. */
  readonly key: string;
}

/** One text for whatever an answer is kept under: no two have the same. */
export function idOf({ identity, method, key }: IdempotencyId): string {
  return JSON.stringify([identity, method, key]);
}

/** A wish to run a handler. */
export interface ClaimWish extends IdempotencyId, ClaimTerms {}

/** A claim that was given. */
export interface Claim extends ClaimWish {
  /** Its fencing token. */
  readonly token: number;
}

/**
 * Keeps claims and answers, for one server or for many. Each operation is atomic, and goes by the store's own clock:
 * that of its server, where several share it. `idempotencyStoreSuite` of `bowline/testing` tests one.
 */
export interface IdempotencyStore {
  /** Claims a key: free, released, expired, or left by an owner whose lease is over. */
  claim(wish: ClaimWish): Promise<ClaimOutcome>;
  /**
   * Has a claim hold for another lease from now on; false if its owner has it no longer. With a lease of 0 ms whoever
   * comes next takes it over; that is the last that an owner asks, when all its other renewals have been answered.
   */
  renew(claim: Claim): Promise<boolean>;
  /**
   * Keeps the answer for its ttl; false if the owner has the claim no longer, and nothing is kept then. Again with the
   * same token it is true, and the first answer holds: whoever did not hear may ask again.
   */
  complete(claim: Claim, answer: Uint8Array): Promise<boolean>;
  /** Gives a claim back without an answer. Without effect if its owner has it no longer, or has completed it. */
  release(claim: Claim): Promise<void>;
  /**
   * Does work and keeps the answer that it resolves with in one transaction of the database; without a claim, the work
   * alone. A store that is no database has none.
   *
   * @returns false if the owner has the claim no longer, or has completed it before: an owner that did not hear of its
   *   commit must not do the work twice. Everything is rolled back then.
   * @throws what the work throws, with all of it rolled back; TypeError for a database that is not the store's.
   */
  commit?(
    db: object,
    work: (tx: object) => Uint8Array | Promise<Uint8Array>,
    claim: Claim | undefined,
  ): Promise<boolean>;
}
