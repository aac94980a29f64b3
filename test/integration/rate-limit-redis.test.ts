import { once } from "node:events";
import { connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { redisRateLimit } from "bowline/rate-limit-redis";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { type DatabaseServer, hasRedis, startRedis } from "../support/database-servers.ts";
import { connectOrders, rejection, serveOrders } from "../support/orders.ts";

const limit = { name: "/a.B/C 10/1000/5 by identity", calls: 10, perMs: 1_000, burst: 5 };
/** So slow that no test sees a second token. */
const slow = { name: "/a.B/C 4/3600000/4 by identity", calls: 4, perMs: 3_600_000, burst: 4 };

/** A way to Redis that a test can make silent: what is sent waits, and the connection stands. */
async function relayTo(port: number) {
  const sockets = new Set<Socket>();
  const server = createTcpServer((near) => {
    const far = connectTcp(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes) => to.write(bytes));
      from.on("close", () => to.destroy());
      from.on("error", () => {});
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return {
    port: typeof address === "object" ? (address?.port ?? 0) : 0,
    silence: () => sockets.forEach((socket) => void socket.pause()),
    goOn: () => sockets.forEach((socket) => void socket.resume()),
  };
}

describe.skipIf(!hasRedis())("Redis", () => {
  let server: DatabaseServer;
  let redis: Redis;
  let prefixes = 0;

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis({ port: server.port });
    await redis.ping();
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });

  const fresh = () => {
    prefixes += 1;
    // The machine may be busy with other tests.
    return { prefix: `test-${prefixes}:`, timeoutMs: 10_000 };
  };

  test("replicas share a bucket: of many calls at a time exactly as many go on as it holds", async () => {
    const options = fresh();
    const stores = Array.from({ length: 3 }, () => redisRateLimit(redis, options));
    const waits = await Promise.all(Array.from({ length: 60 }, (_, n) => stores[n % 3]?.take(slow, "a")));
    expect(waits.filter((waitMs) => waitMs === 0).length).toBe(4);
    for (const waitMs of waits.filter((waitMs) => waitMs !== 0)) {
      expect(waitMs).toBeGreaterThan(890_000);
      expect(waitMs).toBeLessThanOrEqual(900_000);
    }
    expect(await stores[0]?.take(slow, "b")).toBe(0);
  });

  test("there is a token when it said, and what is full is forgotten", async () => {
    const options = fresh();
    const store = redisRateLimit(redis, options);
    const fast = { ...limit, burst: 1, name: "one at a time" };
    expect(await store.take(fast, "a")).toBe(0);
    let waitMs = await store.take(fast, "a");
    expect(waitMs).toBeLessThanOrEqual(100);
    while (waitMs > 0) {
      await sleep(waitMs);
      waitMs = await store.take(fast, "a");
    }
    expect(await redis.keys(`${options.prefix}*`)).toEqual([`${options.prefix}one at a time:a`]);
    await sleep(110);
    expect(await redis.keys(`${options.prefix}*`)).toEqual([]);
  });

  test("it means what a bucket of one process does: a burst, and then its rate", async () => {
    const store = redisRateLimit(redis, fresh());
    const since = performance.now();
    let taken = 0;
    while (taken < 8) {
      const waitMs = await store.take(limit, "a");
      if (waitMs === 0) taken += 1;
      else await sleep(waitMs);
    }
    // Five at once, and three more, one each 100 ms.
    expect(performance.now() - since).toBeGreaterThanOrEqual(290);
  });

  test("one that is killed in the middle leaves each replica its share, and says so", async () => {
    const own = await startRedis();
    const client = new Redis({ port: own.port, retryStrategy: () => null });
    client.on("error", () => {});
    await client.ping();
    const errors: unknown[] = [];
    const store = redisRateLimit(client, { ...fresh(), replicas: 2, onError: (error) => errors.push(error) });
    const granted = async () => {
      const waits = await Promise.all(Array.from({ length: 10 }, () => store.take(slow, "a")));
      return waits.filter((waitMs) => waitMs === 0).length;
    };
    expect(await granted()).toBe(4);
    expect(errors).toEqual([]);
    await own.stop();
    expect(await granted()).toBe(2);
    expect(errors.length).toBe(10);
    client.disconnect();
  });

  test("one that accepts and says nothing holds no call up, and is asked again later", async () => {
    const relay = await relayTo(server.port);
    const client = new Redis({ port: relay.port });
    client.on("error", () => {});
    await client.ping();
    const errors: Error[] = [];
    const onError = (error: unknown) => void errors.push(error as Error);
    const store = redisRateLimit(client, { ...fresh(), timeoutMs: 30, onError });
    expect(await store.take(slow, "a")).toBe(0);
    relay.silence();
    expect(await store.take(slow, "a")).toBe(0);
    expect(errors.map(({ message }) => message)).toEqual(["Redis has not answered within 30 ms"]);
    expect(await store.take(slow, "a")).toBe(0);
    expect(errors.at(-1)?.message).toBe("Redis has not answered in time");
    relay.goOn();
    await sleep(20 * 30);
    errors.length = 0;
    // The one that it was asked while it was silent counts too.
    expect([await store.take(slow, "a"), await store.take(slow, "a")]).toEqual([0, 0]);
    expect(await store.take(slow, "a")).toBeGreaterThan(0);
    expect(errors).toEqual([]);
    client.disconnect();
  });

  /** A client that says so whenever it is asked for: that it is away. */
  const awayClient = () => {
    const client = new Redis({ port: 1, retryStrategy: () => null });
    client.on("error", () => {});
    return client;
  };

  test("a limit means the same while it is away, its share of a burst and windows of months too", async () => {
    const store = redisRateLimit(awayClient(), { replicas: 2, onError: () => {} });
    const monthly = { name: "monthly", calls: 2, perMs: 60 * 86_400_000, burst: 4 };
    expect([await store.take(monthly, "a"), await store.take(monthly, "a")]).toEqual([0, 0]);
    await sleep(20);
    expect(await store.take(monthly, "a")).toBeGreaterThan(59 * 86_400_000);
    expect(await store.take(monthly, "b")).toBe(0);
  });

  test("callers are remembered without a timer for each while it is away", async () => {
    const store = redisRateLimit(awayClient(), { onError: () => {} });
    const timers = vi.spyOn(globalThis, "setTimeout");
    onTestFinished(() => timers.mockRestore());
    for (let n = 0; n < 1_000; n += 1) await store.take(slow, `peer:${n}`);
    expect(timers.mock.calls.length).toBeLessThan(100);
  });

  test("a client that connects when it is first asked is asked", async () => {
    const client = new Redis({ port: server.port, lazyConnect: true });
    const errors: unknown[] = [];
    const store = redisRateLimit(client, { ...fresh(), onError: (error) => errors.push(error) });
    expect(await store.take(slow, "a")).toBe(0);
    expect(client.status).toBe("ready");
    expect(errors).toEqual([]);
    client.disconnect();
  });

  test("that it is away is a warning of the process where nobody is told, one each time that it goes", async () => {
    const warnings: string[] = [];
    const listener = ({ message }: Error) => void warnings.push(message);
    process.on("warning", listener);
    onTestFinished(() => void process.off("warning", listener));
    const client = new Redis({ port: server.port });
    await client.ping();
    const store = redisRateLimit(client, fresh());
    const goAndAsk = async () => {
      client.disconnect();
      await once(client, "end");
      await store.take(slow, "a");
      await store.take(slow, "a");
    };
    await goAndAsk();
    await client.connect();
    expect(await store.take(slow, "b")).toBe(0);
    await goAndAsk();
    await new Promise((resolve) => setImmediate(resolve));
    const expected = expect.stringContaining(
      "bowline: redisRateLimit: each process counts for itself: Error: Redis is",
    );
    expect(warnings).toEqual([expected, expected]);
  });

  test("a server's calls are limited through it, and go on where it is away", async () => {
    const client = new Redis({ port: 1, lazyConnect: true, retryStrategy: () => null });
    client.on("error", () => {});
    const stores = [redisRateLimit(redis, fresh()), redisRateLimit(client, { replicas: 4 })];
    for (const [store, calls] of [
      [stores[0], 4],
      [stores[1], 1],
    ] as const) {
      if (!store) throw new Error("there is no store");
      const rateLimit = { calls: 4, perMs: 3_600_000, store };
      const { port } = await serveOrders({ getOrder: async () => ({}) }, { rateLimit });
      const orders = connectOrders(port);
      for (let n = 0; n < calls; n += 1) await orders.getOrder({});
      expect(await rejection(orders.getOrder({}))).toMatchObject({ reason: "RATE_LIMITED" });
    }
  });

  test.each<[unknown[], string]>([
    [
      [{}, { prefix: "", replicas: 0.5, timeoutMs: 0, onError: 1, perfix: "a" }],
      'redisRateLimit: the first argument must be a client of ioredis; prefix must be a text; it is ""; ' +
        "replicas must be a whole number of at least 1; it is 0.5; timeoutMs must be greater than zero; it is 0; " +
        "onError must be a function; it is 1; there is no option perfix; there are prefix, replicas, timeoutMs, onError",
    ],
  ])("refuses %j", (args, message) => {
    expect(() => Reflect.apply(redisRateLimit, undefined, args)).toThrow(new TypeError(message));
  });
});
