/**
 * What a store keeps for one key: a claim, and in the end an answer. Instants are in milliseconds on the store's clock,
 * which is one clock for all servers that share it.
 */
export interface IdempotencyRecord {
  /** Of the request that the key was claimed for; undefined once the claim was released: any request may take it. */
  readonly fingerprint: string | undefined;
  /** The fencing token of the latest claim: no other claim of the key has it, and later ones have greater ones. */
  readonly token: number;
  /** Until when nobody else may take the claim. */
  readonly leaseEndsAt: number;
  /** From when on the record is as if it had never been. */
  readonly expiresAt: number;
  /** Undefined until the handler has ended well. */
  readonly answer: Uint8Array | undefined;
}

/** What a claim is made with. */
export interface ClaimTerms {
  /** Tells requests apart, such as a hash of their bytes. */
  readonly fingerprint: string;
  /** How long the claim holds unless it is renewed. */
  readonly leaseMs: number;
  /** How long an answer is kept. */
  readonly ttlMs: number;
}

/** What became of a wish to claim a key. */
export type ClaimOutcome =
  /** The handler is to run. `takenOver`: an owner before left it without a word; some of its work may be done. */
  | { readonly state: "claimed"; readonly token: number; readonly takenOver: boolean }
  /** Somebody else's handler runs; its lease ends in `leaseMs` unless it is renewed. */
  | { readonly state: "running"; readonly leaseMs: number }
  /** The handler has run: this is its answer. */
  | { readonly state: "answered"; readonly answer: Uint8Array }
  /** The key stands for another request. */
  | { readonly state: "conflict" };

/** A wish to claim a key, decided: with `record`, that is kept from now on. */
export interface ClaimDecision {
  readonly outcome: ClaimOutcome;
  readonly record?: IdempotencyRecord;
}

/**
 * Decides who may run a handler. A claim is a lease (Gray and Cheriton, 1989) with a fencing token: an owner that
 * neither ends nor renews in time is taken for crashed, and whatever it still says with its old token is refused.
 */
export function claim(known: IdempotencyRecord | undefined, terms: ClaimTerms, now: number): ClaimDecision {
  const held = known && now < known.expiresAt && known.fingerprint !== undefined ? known : undefined;
  if (held && held.fingerprint !== terms.fingerprint) return { outcome: { state: "conflict" } };
  if (held?.answer) return { outcome: { state: "answered", answer: held.answer } };
  if (held && now < held.leaseEndsAt) return { outcome: { state: "running", leaseMs: held.leaseEndsAt - now } };
  const token = nextToken(known?.token, now);
  const { fingerprint } = terms;
  const record = { fingerprint, token, ...lease(terms, now), answer: undefined };
  return { outcome: { state: "claimed", token, takenOver: held !== undefined }, record };
}

/**
 * The record with a claim that holds anew; undefined if the token's owner has it no longer. One that is answered stays
 * as it is: its owner may not know yet.
 */
export function renew(
  known: IdempotencyRecord | undefined,
  token: number,
  terms: Pick<ClaimTerms, "leaseMs" | "ttlMs">,
  now: number,
): IdempotencyRecord | undefined {
  if (!known || !isOwner(known, token)) return undefined;
  return known.answer ? known : { ...known, ...lease(terms, now) };
}

/**
 * The record with an answer; undefined if the token's owner has the claim no longer. Said twice by one owner, which may
 * not know whether it was heard, the first answer holds.
 */
export function complete(
  known: IdempotencyRecord | undefined,
  token: number,
  answer: Uint8Array,
  { ttlMs }: Pick<ClaimTerms, "ttlMs">,
  now: number,
): IdempotencyRecord | undefined {
  if (!known || !isOwner(known, token)) return undefined;
  return known.answer ? known : { ...known, answer, expiresAt: now + ttlMs };
}

/** The record without its claim: the handler has ended without an answer. Undefined if there is nothing to release. */
export function release(known: IdempotencyRecord | undefined, token: number): IdempotencyRecord | undefined {
  if (!known || !isOwner(known, token) || known.answer) return undefined;
  // The token stays as long as the claim would have held, so that the next one has a greater one.
  return { ...known, fingerprint: undefined, expiresAt: known.leaseEndsAt };
}

function isOwner({ fingerprint, token }: IdempotencyRecord, claimed: number): boolean {
  return fingerprint !== undefined && token === claimed;
}

function lease({ leaseMs, ttlMs }: Pick<ClaimTerms, "leaseMs" | "ttlMs">, now: number) {
  const leaseEndsAt = now + leaseMs;
  return { leaseEndsAt, expiresAt: leaseEndsAt + ttlMs };
}

/** Greater than any before; by the clock, so that it is also where the record before was lost. In microseconds. */
function nextToken(last: number | undefined, now: number): number {
  return Math.max((last ?? 0) + 1, Math.floor(now * 1_000));
}
