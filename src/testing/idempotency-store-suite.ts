import { ok, rejects, deepStrictEqual as same } from "node:assert/strict";
import type { Claim, ClaimOutcome, ClaimWish, IdempotencyStore } from "../server/index.ts";
import { aWish, claimed, LONG_MS } from "./idempotency-claims.ts";
import { transactionTests } from "./idempotency-transaction-suite.ts";

/** A store to test, empty. */
export interface StoreUnderTest {
  readonly store: IdempotencyStore;
  /** Lets so many milliseconds pass on the store's clock, and rather more than fewer. */
  pass(ms: number): Promise<void>;
  /** Of a store that is a database. Default: its `commit` is not tested. */
  readonly database?: TransactionsUnderTest;
}

/** What shows that a store's transactions are real. */
export interface TransactionsUnderTest {
  /** What handlers give to `commit`. */
  readonly db: object;
  /** Whether work may be async. */
  readonly async: boolean;
  /** Writes a note within a transaction. */
  write(tx: object, note: string): void | Promise<void>;
  /** The notes that are there outside of all transactions, in any order. */
  notes(): readonly string[] | Promise<readonly string[]>;
}

/** One test of a store. */
export interface StoreTest {
  readonly name: string;
  /** Rejects with an AssertionError if the store is wrong. */
  run(): Promise<void>;
}

/** So short that it is over after `AFTER_MS`. */
const SHORT_MS = 20;
const AFTER_MS = 40;

const bytes = (...values: number[]) => new Uint8Array(values);
const every = Array.from({ length: 256 }, (_, value) => value);

function isAnswered(outcome: ClaimOutcome, expected: Uint8Array): void {
  ok(outcome.state === "answered", `the key must be answered; it is ${outcome.state}`);
  same([...outcome.answer], [...expected]);
}

async function isState(store: IdempotencyStore, wish: ClaimWish, state: ClaimOutcome["state"]): Promise<void> {
  same((await store.claim(wish)).state, state);
}

/** A claim whose lease is over. */
async function left(world: StoreUnderTest): Promise<Claim> {
  const claim = await claimed(world.store, aWish({ leaseMs: SHORT_MS }));
  await world.pass(AFTER_MS);
  return { ...claim, leaseMs: LONG_MS };
}

const tests: Readonly<Record<string, (world: StoreUnderTest) => Promise<void>>> = {
  async "a free key is claimed, and its owner is asked after until it ends"({ store }) {
    const claim = await claimed(store, aWish());
    ok(Number.isSafeInteger(claim.token) && claim.token > 0, "a token is a whole number above zero");
    const outcome = await store.claim(aWish());
    ok(outcome.state === "running" && outcome.leaseMs > 0 && outcome.leaseMs <= LONG_MS);
  },

  async "an answer is given as it was kept, whatever its bytes"({ store }) {
    for (const [key, answer] of Object.entries({ none: bytes(), zero: bytes(0), every: bytes(...every) })) {
      same(await store.complete(await claimed(store, aWish({ key })), answer), true);
      isAnswered(await store.claim(aWish({ key })), answer);
      isAnswered(await store.claim(aWish({ key })), answer);
    }
  },

  async "another request under the key is a conflict: while the first runs, when it is left, and when it is answered"(
    world,
  ) {
    const { store } = world;
    const other = aWish({ fingerprint: "request-2" });
    const claim = await left(world);
    await isState(store, other, "conflict");
    same(await store.renew(claim), true);
    await isState(store, other, "conflict");
    same(await store.complete(claim, bytes(1)), true);
    await isState(store, other, "conflict");
  },

  async "what is released is free for any request, with a greater token"({ store }) {
    const claim = await claimed(store, aWish());
    await store.release(claim);
    const next = await claimed(store, aWish({ fingerprint: "request-2" }));
    ok(next.token > claim.token, `${next.token} must be greater than ${claim.token}`);
    same(await store.renew(claim), false);
    same(await store.complete(claim, bytes(1)), false);
    await store.release(claim);
    await isState(store, next, "running");
  },

  async "a claim whose lease is over is taken over, with a greater token, and its old owner has it no longer"(world) {
    const { store } = world;
    const old = await left(world);
    const claim = await claimed(store, aWish(), true);
    ok(claim.token > old.token, `${claim.token} must be greater than ${old.token}`);
    same(await store.renew(old), false);
    same(await store.complete(old, bytes(1)), false);
    await store.release(old);
    await isState(store, aWish(), "running");
    same(await store.complete(claim, bytes(2)), true);
    same(await store.complete(old, bytes(1)), false);
    isAnswered(await store.claim(aWish()), bytes(2));
  },

  async "a renewed lease holds anew"(world) {
    const claim = await left(world);
    same(await world.store.renew(claim), true);
    await isState(world.store, aWish(), "running");
  },

  async "a claim that is renewed for no time is left: it is taken over, and stays another request's conflict"(world) {
    const { store } = world;
    const claim = await claimed(store, aWish());
    same(await store.renew({ ...claim, leaseMs: 0 }), true);
    await world.pass(SHORT_MS);
    await isState(store, aWish({ fingerprint: "request-2" }), "conflict");
    const next = await claimed(store, aWish(), true);
    ok(next.token > claim.token, `${next.token} must be greater than ${claim.token}`);
    same(await store.complete(claim, bytes(1)), false);
  },

  async "an owner whose lease is over, and whose claim nobody wanted, still completes it"(world) {
    const claim = await left(world);
    same(await world.store.complete(claim, bytes(1)), true);
    isAnswered(await world.store.claim(aWish()), bytes(1));
  },

  async "an owner that did not hear may say it again: the first answer holds"({ store }) {
    const claim = await claimed(store, aWish());
    same(await store.complete(claim, bytes(1)), true);
    same(await store.complete(claim, bytes(2)), true);
    same(await store.renew(claim), true);
    await store.release(claim);
    isAnswered(await store.claim(aWish()), bytes(1));
  },

  async "an answer whose ttl is over is as if it had never been"(world) {
    const { store } = world;
    const short = aWish({ ttlMs: SHORT_MS });
    const claim = await claimed(store, short);
    same(await store.complete(claim, bytes(1)), true);
    await world.pass(AFTER_MS);
    const next = await claimed(store, aWish({ fingerprint: "request-2" }));
    ok(next.token > claim.token, `${next.token} must be greater than ${claim.token}`);
  },

  async "a renewal does not make an answer last longer"(world) {
    const claim = await claimed(world.store, aWish({ ttlMs: SHORT_MS }));
    same(await world.store.complete(claim, bytes(1)), true);
    same(await world.store.renew({ ...claim, ttlMs: LONG_MS }), true);
    await world.pass(AFTER_MS);
    await claimed(world.store, aWish());
  },

  async "a claim outlasts its ttl while it is held"(world) {
    const wish = aWish({ ttlMs: SHORT_MS });
    const claim = await claimed(world.store, wish);
    await world.pass(AFTER_MS);
    await isState(world.store, wish, "running");
    same(await world.store.complete(claim, bytes(1)), true);
  },

  async "nobody has a claim that was never given"({ store }) {
    const claim = { ...aWish(), token: 1 };
    same(await store.renew(claim), false);
    same(await store.complete(claim, bytes(1)), false);
    await store.release(claim);
    await claimed(store, aWish());
  },

  async "keys of other callers and methods are other keys"({ store }) {
    const ids = ["a", "b", "a:b", 'a","b', "a' OR 1=1 --", "{a}", "ä", "x".repeat(255)];
    const wishes = ids.flatMap((one) => [
      aWish({ identity: one, method: "a", key: "b" }),
      aWish({ identity: "a:b", method: one, key: "a" }),
      aWish({ identity: "c", method: "d", key: one }),
    ]);
    for (const wish of wishes) same(await store.complete(await claimed(store, wish), bytes(1)), true);
  },

  async "of many who want a key at a time, one gets it"({ store }) {
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => store.claim(aWish())));
    same(outcomes.map(({ state }) => state).toSorted(), ["claimed", ...Array(19).fill("running")]);
  },

  async "of many who want a left key at a time, one gets it"(world) {
    await left(world);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => world.store.claim(aWish())));
    same(outcomes.map(({ state }) => state).toSorted(), ["claimed", ...Array(19).fill("running")]);
  },

  async "times need not be whole milliseconds"({ store }) {
    const claim = await claimed(store, aWish({ leaseMs: 1_000.7, ttlMs: 86_400_000.3 }));
    same(await store.renew(claim), true);
    same(await store.complete(claim, bytes(1)), true);
  },

  async "a store that is no database has no commit"({ store, database }) {
    if (database) await rejects(async () => store.commit?.({}, () => bytes(1), undefined), TypeError);
    else same(store.commit, undefined);
  },
};

/**
 * Tests a store of idempotency keys: whatever is one must pass them all. They need no test runner of a kind:
 * `for (const { name, run } of idempotencyStoreSuite(open)) test(name, run)`.
 *
 * @param open gives each test an empty store; tests end before the next one begins, if the runner has it so.
 * @param features `database`: whether `open` gives one, so that `commit` is tested too.
 */
export function idempotencyStoreSuite(
  open: () => Promise<StoreUnderTest>,
  features: { readonly database: boolean },
): readonly StoreTest[] {
  const all = { ...tests, ...(features.database && transactionTests) };
  return Object.entries(all).map(([name, body]) => ({ name, run: async () => body(await open()) }));
}
