import { DatabaseSync } from "node:sqlite";
import { sqliteIdempotency } from "bowline/idempotency-sqlite";
import { fakeClock, idempotencyStoreSuite } from "bowline/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ClaimOutcome } from "../../../src/policy/idempotency.ts";
import { openMemory, openSqlite } from "../../support/idempotency-stores.ts";

describe("in memory", () => {
  for (const { name, run } of idempotencyStoreSuite(openMemory, { database: false })) test(name, run);
});

describe("in SQLite", () => {
  for (const { name, run } of idempotencyStoreSuite(openSqlite, { database: true })) test(name, run);
});

describe("where the store's clock is set", () => {
  const wish = { identity: "a", method: "/b.C/D", key: "k", fingerprint: "f", leaseMs: 1_000, ttlMs: 5_000 };
  const answer = new Uint8Array([1]);

  function open() {
    const clock = fakeClock();
    const database = new DatabaseSync(":memory:");
    onTestFinished(() => database.close());
    return { clock, store: sqliteIdempotency(database, { clock }) };
  }

  const tokenOf = (outcome: ClaimOutcome) =>
    outcome.state === "claimed" ? outcome.token : expect.unreachable(outcome.state);

  test("back, claims and answers last longer by as much, unless they are renewed", async () => {
    const { clock, store } = open();
    const [left, held] = [wish, { ...wish, key: "held" }];
    await store.claim(left);
    const token = tokenOf(await store.claim(held));
    clock.jumpWall(-60_000);
    expect(await store.claim(left)).toEqual({ state: "running", leaseMs: 61_000 });
    expect(await store.renew({ ...held, token })).toBe(true);
    expect(await store.claim(held)).toEqual({ state: "running", leaseMs: 1_000 });
    expect(await store.complete({ ...held, token }, answer)).toBe(true);
    clock.jumpWall(-60_000);
    await clock.advance(64_999);
    expect(await store.claim(held)).toMatchObject({ state: "answered" });
  });

  test("ahead, a claim is taken over whose owner still runs, and only the other one completes", async () => {
    const { clock, store } = open();
    const first = tokenOf(await store.claim(wish));
    clock.jumpWall(2_000);
    const next = await store.claim(wish);
    expect(next).toMatchObject({ state: "claimed", takenOver: true });
    expect(await store.complete({ ...wish, token: first }, answer)).toBe(false);
    expect(await store.complete({ ...wish, token: tokenOf(next) }, answer)).toBe(true);
  });
});
