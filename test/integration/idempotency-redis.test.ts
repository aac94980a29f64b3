import { setTimeout as sleep } from "node:timers/promises";
import { redisIdempotency } from "bowline/idempotency-redis";
import { idempotencyStoreSuite, type StoreUnderTest } from "bowline/testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DatabaseServer, hasRedis, startRedis } from "../support/database-servers.ts";

describe.skipIf(!hasRedis())("Redis", () => {
  let server: DatabaseServer;
  let redis: Redis;
  let stores = 0;

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis({ port: server.port });
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });

  async function open(): Promise<StoreUnderTest> {
    stores += 1;
    return { store: redisIdempotency(redis, { prefix: `test-${stores}:` }), pass: (ms) => sleep(ms) };
  }

  for (const { name, run } of idempotencyStoreSuite(open, { database: false })) test(name, run);

  const wish = { identity: "a", method: "/b.C/D", key: "k", fingerprint: "f", leaseMs: 60_000, ttlMs: 60_000 };

  test("who asks at once is not told of more of a lease than there ever was", async () => {
    const { store } = await open();
    for (let key = 0; key < 50; key += 1) {
      await store.claim({ ...wish, key: `${key}` });
      const outcome = await store.claim({ ...wish, key: `${key}` });
      const leaseMs = outcome.state === "running" ? outcome.leaseMs : 0;
      expect(leaseMs).toBeGreaterThan(0);
      expect(leaseMs).toBeLessThanOrEqual(wish.leaseMs);
    }
  });

  test("a script that the server has forgotten is sent again", async () => {
    const { store } = await open();
    await redis.script("FLUSH");
    expect(await store.claim(wish)).toMatchObject({ state: "claimed" });
    await redis.script("FLUSH");
    expect(await store.claim(wish)).toMatchObject({ state: "running" });
  });

  test("a claim whose answer was lost with its connection is given to who made it, when ioredis asks again", async () => {
    const sent: unknown[][] = [];
    const twice = new Proxy(redis, {
      get(target, name) {
        if (name !== "callBuffer") return Reflect.get(target, name);
        return async (...args: Parameters<Redis["callBuffer"]>) => {
          sent.push(args);
          await target.callBuffer(...args).catch(() => {});
          return target.callBuffer(...args);
        };
      },
    });
    const store = redisIdempotency(twice, { prefix: "twice:" });
    expect(await store.claim(wish)).toMatchObject({ state: "claimed", takenOver: false });
    expect(await store.claim(wish)).toMatchObject({ state: "running" });
    expect(sent.length).toBeGreaterThan(1);
    // One that was left to it is so also when it asks again.
    const cut = { ...wish, key: "cut off", leaseMs: 1 };
    expect(await store.claim(cut)).toMatchObject({ state: "claimed", takenOver: false });
    await sleep(5);
    expect(await store.claim({ ...cut, leaseMs: 60_000 })).toMatchObject({ state: "claimed", takenOver: true });
  });

  test("nothing stays longer than its time", async () => {
    const { store } = await open();
    const outcome = await store.claim({ ...wish, leaseMs: 100, ttlMs: 10_000 });
    const keys = await redis.keys(`test-${stores}:*`);
    expect(keys).toEqual([`test-${stores}:["a","/b.C/D","k"]`]);
    const [key = ""] = keys;
    expect(await redis.pttl(key)).toBeGreaterThan(9_000);
    if (outcome.state !== "claimed") throw new Error("not claimed");
    await store.release({ ...wish, token: outcome.token });
    expect(await redis.pttl(key)).toBeLessThanOrEqual(100);
  });

  test.each<[unknown[], string]>([
    [
      [{}, { prefix: "", perfix: "a" }],
      'redisIdempotency: the first argument must be a client of ioredis; prefix must be a text; it is ""; ' +
        "there is no option perfix; there are prefix",
    ],
  ])("refuses %j", (args, message) => {
    expect(() => Reflect.apply(redisIdempotency, undefined, args)).toThrow(new TypeError(message));
  });
});
