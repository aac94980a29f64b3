import { ok, rejects, deepStrictEqual as same } from "node:assert/strict";
import type { IdempotencyStore } from "../server/index.ts";
import { aWish, claimed } from "./idempotency-claims.ts";
import type { StoreUnderTest, TransactionsUnderTest } from "./idempotency-store-suite.ts";

const ANSWER = new Uint8Array([7]);

/** The store with its transactions. */
function databaseOf({ store, database }: StoreUnderTest) {
  ok(database && store.commit, "a store in a database has commit, and the suite is given the database");
  return { store, commit: store.commit.bind(store), ...parts(database) };
}

function parts({ db, async: isAsync, write, notes }: TransactionsUnderTest) {
  /** Writes a note, and answers. */
  const work = (note: string) => (tx: object) => {
    const written = write(tx, note);
    return written instanceof Promise ? written.then(() => ANSWER) : ANSWER;
  };
  return { db, isAsync, write, work, notes: async () => [...(await notes())].toSorted() };
}

async function isAnswered(store: IdempotencyStore): Promise<void> {
  const outcome = await store.claim(aWish());
  ok(outcome.state === "answered", `the key must be answered; it is ${outcome.state}`);
  same([...outcome.answer], [...ANSWER]);
}

/** The tests of `commit`, by name. */
export const transactionTests: Readonly<Record<string, (world: StoreUnderTest) => Promise<void>>> = {
  async "commit keeps work and answer together"(world) {
    const { store, commit, db, work, notes } = databaseOf(world);
    same(await commit(db, work("done"), await claimed(store, aWish())), true);
    same(await notes(), ["done"]);
    await isAnswered(store);
  },

  async "commit keeps neither if the work throws, and the claim stays"(world) {
    const { store, commit, db, write, notes } = databaseOf(world);
    const claim = await claimed(store, aWish());
    const failing = (tx: object) => {
      const written = write(tx, "half");
      const fail = (): never => {
        throw new RangeError("no");
      };
      return written instanceof Promise ? written.then(fail) : fail();
    };
    await rejects(async () => commit(db, failing, claim), RangeError);
    same(await notes(), []);
    same((await store.claim(aWish())).state, "running");
  },

  async "after work that threw, it may be tried again"(world) {
    const { store, commit, db, work, notes } = databaseOf(world);
    const claim = await claimed(store, aWish());
    const failing = () => {
      throw new RangeError("no");
    };
    await rejects(async () => commit(db, failing, claim), RangeError);
    same(await commit(db, work("done"), claim), true);
    same(await notes(), ["done"]);
  },

  async "commit keeps nothing of an owner that has the claim no longer"(world) {
    const { store, commit, db, work, notes } = databaseOf(world);
    const old = await claimed(store, aWish({ leaseMs: 20 }));
    await world.pass(40);
    const claim = await claimed(store, aWish(), true);
    same(await commit(db, work("old"), old), false);
    same(await notes(), []);
    same(await commit(db, work("new"), claim), true);
    same(await commit(db, work("old"), old), false);
    same(await notes(), ["new"]);
    await isAnswered(store);
  },

  async "commit does nothing a second time, for an owner that did not hear of the first"(world) {
    const { store, commit, db, work, notes } = databaseOf(world);
    const claim = await claimed(store, aWish());
    same(await commit(db, work("first"), claim), true);
    same(await commit(db, work("second"), claim), false);
    same(await notes(), ["first"]);
    await isAnswered(store);
  },

  async "commit without a claim is a plain transaction"(world) {
    const { store, commit, db, work, notes } = databaseOf(world);
    same(await commit(db, work("plain"), undefined), true);
    same(await notes(), ["plain"]);
    same((await store.claim(aWish())).state, "claimed");
  },

  async "commit takes no database that is not the store's"(world) {
    const { store, commit, work } = databaseOf(world);
    const claim = await claimed(store, aWish());
    await rejects(async () => commit({ query: 1 }, work("nowhere"), claim), TypeError);
  },

  async "work that waits is waited for, or refused with nothing kept"(world) {
    const { store, commit, db, isAsync, write, notes } = databaseOf(world);
    const claim = await claimed(store, aWish());
    const slow = async (tx: object) => {
      await write(tx, "slow");
      return ANSWER;
    };
    if (isAsync) same(await commit(db, slow, claim), true);
    else await rejects(async () => commit(db, slow, claim), TypeError);
    same(await notes(), isAsync ? ["slow"] : []);
  },
};
