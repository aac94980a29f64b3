import { ok, deepStrictEqual as same } from "node:assert/strict";
import type { Claim, ClaimWish, IdempotencyStore } from "../server/index.ts";

/** So long that no test sees its end. */
export const LONG_MS = 600_000;

/** A wish for a key, with a long lease and ttl. */
export function aWish(changes: Partial<ClaimWish> = {}): ClaimWish {
  const id = { identity: "peer:10.0.0.7", method: "/shop.v1.Orders/CreateOrder", key: "key-1" };
  return { ...id, fingerprint: "request-1", leaseMs: LONG_MS, ttlMs: LONG_MS, ...changes };
}

/** Claims a key that must be free. */
export async function claimed(store: IdempotencyStore, wish: ClaimWish, takenOver = false): Promise<Claim> {
  const outcome = await store.claim(wish);
  ok(outcome.state === "claimed", `the claim must be given; the key is ${outcome.state}`);
  same(outcome.takenOver, takenOver, "takenOver");
  return { ...wish, token: outcome.token };
}
