import { describe, expect, test } from "vitest";
import { memoryIdempotency } from "../../../src/server/idempotency/memory-store.ts";
import type { Claim, ClaimWish, IdempotencyStore } from "../../../src/server/idempotency/store.ts";
import { fakeClock } from "../../../src/testing/index.ts";

const wish = (key: string, ttlMs = 1_000): ClaimWish => ({
  ...{ identity: "a", method: "/b.C/D", key, fingerprint: "f", leaseMs: 100, ttlMs },
});

async function claimed(store: IdempotencyStore, wanted: ClaimWish): Promise<Claim> {
  const outcome = await store.claim(wanted);
  return outcome.state === "claimed" ? { ...wanted, token: outcome.token } : expect.unreachable(outcome.state);
}

/** Keys with answers of so many bytes. */
async function fill(store: IdempotencyStore, ...sizes: number[]): Promise<void> {
  for (const [n, size] of sizes.entries()) {
    await store.complete(await claimed(store, wish(`k${n}`)), new Uint8Array(size));
  }
}

async function states(store: IdempotencyStore, ...keys: string[]): Promise<string[]> {
  return Promise.all(keys.map(async (key) => (await store.claim({ ...wish(key), fingerprint: "other" })).state));
}

describe("what is kept in memory is bounded", () => {
  test("in entries: the oldest answer goes first", async () => {
    const store = memoryIdempotency({ maxEntries: 2 });
    await fill(store, 1, 1, 1);
    expect(await states(store, "k2", "k1")).toEqual(["conflict", "conflict"]);
    expect(await states(store, "k0")).toEqual(["claimed"]);
  });

  test("in bytes, but the newest answer is kept whatever its size", async () => {
    const store = memoryIdempotency({ maxBytes: 10 });
    await fill(store, 4, 4, 4);
    expect(await states(store, "k1", "k2")).toEqual(["conflict", "conflict"]);
    await store.complete(await claimed(store, wish("large")), new Uint8Array(11));
    expect(await states(store, "large")).toEqual(["conflict"]);
    expect(await states(store, "k1", "k2")).toEqual(["claimed", "claimed"]);
  });

  test("and no claim under way is dropped", async () => {
    const store = memoryIdempotency({ maxEntries: 2 });
    const held = await Promise.all(["a", "b", "c"].map((key) => claimed(store, wish(key))));
    await fill(store, 1, 1);
    expect(await states(store, "a", "b", "c")).toEqual(["conflict", "conflict", "conflict"]);
    for (const claim of held) expect(await store.complete(claim, new Uint8Array(1))).toBe(true);
  });

  test("in entries: keys whose run was cut off, or failed after one that was, go as answers do, the oldest first", async () => {
    const clock = fakeClock();
    const store = memoryIdempotency({ maxEntries: 3, clock });
    for (const key of ["cut", "failed"]) await claimed(store, wish(key, 86_400_000));
    await clock.advance(100);
    const again = await claimed(store, wish("failed", 86_400_000));
    await store.renew({ ...again, leaseMs: 0 });
    expect(await states(store, "cut", "failed")).toEqual(["conflict", "conflict"]);
    await fill(store, 1, 1);
    expect(await states(store, "k0", "k1", "failed")).toEqual(["conflict", "conflict", "conflict"]);
    const next = await claimed(store, wish("next"));
    expect(await states(store, "k0", "k1", "next")).toEqual(["conflict", "conflict", "conflict"]);
    expect(await store.complete(next, new Uint8Array(1))).toBe(true);
    expect(await states(store, "failed", "cut")).toEqual(["claimed", "claimed"]);
  });

  test("in bytes, at which keys without an answer have no share", async () => {
    const clock = fakeClock();
    const store = memoryIdempotency({ maxBytes: 10, clock });
    await claimed(store, wish("cut", 86_400_000));
    await clock.advance(100);
    await fill(store, 8, 8);
    expect(await states(store, "cut", "k1")).toEqual(["conflict", "conflict"]);
    expect(await states(store, "k0")).toEqual(["claimed"]);
  });

  test("what has expired goes when something comes", async () => {
    const clock = fakeClock();
    const store = memoryIdempotency({ maxBytes: 10, clock });
    await fill(store, 4, 4);
    await clock.advance(1_000);
    await store.complete(await claimed(store, wish("new")), new Uint8Array(9));
    await store.complete(await claimed(store, wish("newer")), new Uint8Array(1));
    expect(await states(store, "new", "newer")).toEqual(["conflict", "conflict"]);
  });

  test("what failed takes no room", async () => {
    const store = memoryIdempotency({ maxEntries: 2 });
    await fill(store, 1, 1);
    for (let n = 0; n < 10; n += 1) await store.release(await claimed(store, wish("failing")));
    expect(await states(store, "k1")).toEqual(["conflict"]);
  });
});

test.each([0, 1, 4.3, 1_000.1])(
  "claims of one instant, %d ms, have greater tokens each, and leases from then on",
  async (now) => {
    const store = memoryIdempotency({ clock: fakeClock({ now }) });
    const tokens: number[] = [];
    for (let n = 0; n < 100; n += 1) {
      const claim = await claimed(store, wish("failing"));
      tokens.push(claim.token);
      await store.release(claim);
    }
    expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => a - b));
    await claimed(store, wish("held"));
    expect(await store.claim(wish("held"))).toEqual({ state: "running", leaseMs: expect.closeTo(100) });
  },
);

test("tokens grow past a restart of the process, whose clock begins anew", async () => {
  const before = memoryIdempotency({ clock: fakeClock({ now: 3_600_000, wallTime: 1_767_225_600_000 }) });
  const after = memoryIdempotency({ clock: fakeClock({ now: 50, wallTime: 1_767_225_601_000 }) });
  const tokens = [await claimed(before, wish("a")), await claimed(after, wish("a"))].map(({ token }) => token);
  expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
});

test.each<[object, string]>([
  [{ maxEntries: 0 }, "maxEntries must be a whole number of at least 1; it is 0"],
  [
    { maxBytes: 0.5, ttl: 1 },
    "maxBytes must be a whole number of at least 1; it is 0.5; there is no option ttl; there are maxEntries, maxBytes, clock",
  ],
])("refuses %j", (options, problems) => {
  expect(() => memoryIdempotency(options)).toThrow(new TypeError(`memoryIdempotency: ${problems}`));
});
