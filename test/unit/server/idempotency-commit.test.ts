import { DatabaseSync } from "node:sqlite";
import { sqliteIdempotency } from "bowline/idempotency-sqlite";
import { fakeClock } from "bowline/testing";
import { Metadata } from "nice-grpc-common";
import { expect, onTestFinished, test } from "vitest";
import type { ServedContext, ServeUnary } from "../../../src/core/served-call.ts";
import type { IdempotencyStore } from "../../../src/server/idempotency/store.ts";
import { idempotencyLayer } from "../../../src/server/layers/idempotency.ts";
import { gate, rejection } from "../../support/orders.ts";
import { aMethod } from "../../support/scripted.ts";

const method = aMethod();
const [LEASE_MS, TTL_MS] = [300, 50];
const NO_KEY = "";

/** The layer around a handler, on a store in SQLite whose clock is the test's. */
function setUp(
  handler: (database: DatabaseSync, ...served: Parameters<ServeUnary>) => Promise<unknown>,
  around: (store: IdempotencyStore) => IdempotencyStore = (store) => store,
) {
  const clock = fakeClock();
  const database = new DatabaseSync(":memory:");
  onTestFinished(() => database.close());
  const store = around(sqliteIdempotency(database, { clock }));
  const errors: unknown[] = [];
  const keyed = { store, leaseMs: LEASE_MS, encoded: false, clock, observer: undefined };
  const layer = idempotencyLayer(
    { ...keyed, onError: (error) => void errors.push(error) },
    new Map([[method.path, TTL_MS]]),
  );
  const serve = layer.unary((...served) => handler(database, ...served), method);
  const call = (key = "k", identity = "peer:a") =>
    serve("request", {
      ...{ method, header: new Metadata(), metadata: new Metadata(key === NO_KEY ? {} : { "idempotency-key": key }) },
      ...{ signal: new AbortController().signal, identity: { key: identity, source: "peer" } },
      ...{ remainingMs: () => Number.POSITIVE_INFINITY, outlasts: () => {} },
    } as unknown as ServedContext);
  return { clock, call, errors };
}

/** All of a store but what it does in a transaction. */
function outsideOf(store: IdempotencyStore): IdempotencyStore {
  return {
    claim: (wish) => store.claim(wish),
    renew: (claim) => store.renew(claim),
    complete: (...given) => store.complete(...given),
    release: (claim) => store.release(claim),
  };
}

test("what was committed is not lost to a handler that goes on for longer than its answer is kept", async () => {
  const [end, lost] = [gate(), [] as unknown[]];
  const { clock, call, errors } = setUp(async (database, _, { idempotency, metadata, signal }) => {
    if (metadata.get("idempotency-key") === "other") return "other";
    const answer = await idempotency.commit(database, () => "committed");
    signal.addEventListener("abort", () => lost.push(signal.reason));
    await end.promise;
    return answer;
  });
  const answer = call();
  await clock.advance(TTL_MS + 1);
  // Takes away what has expired.
  expect(await call("other")).toBe("other");
  await clock.advance(LEASE_MS);
  end.resolve();
  expect(await answer).toBe("committed");
  expect([lost, errors, clock.pending]).toEqual([[], [], 0]);
});

test("what was committed is there for repetitions at once, while the handler goes on", async () => {
  const [begin, end] = [gate(), gate()];
  const { clock, call } = setUp(async (database, _, { idempotency }) => {
    await begin.promise;
    const answer = await idempotency.commit(database, () => "committed");
    await end.promise;
    return answer;
  });
  const first = call();
  const waiting = call();
  await clock.advance(25);
  begin.resolve();
  expect([await waiting, await call()]).toEqual(["committed", "committed"]);
  expect(clock.now()).toBe(25);
  end.resolve();
  expect(await first).toBe("committed");
  expect(clock.pending).toBe(0);
});

test("a handler that returns while its commit is under way answers with what is committed", async () => {
  const { call, errors } = setUp(async (database, _, { idempotency }) => {
    void idempotency.commit(database, () => "committed");
    return "returned";
  });
  expect([await call(), await call(), errors]).toEqual(["committed", "committed", []]);
});

test("without a key, too, a call is answered with what is committed, when that has ended", async () => {
  const [end, refusal] = [gate(), new RangeError("no")];
  const ended: string[] = [];
  const { call, errors } = setUp(
    async (database, _, { idempotency }) => {
      const committed = idempotency.commit(database, () => `committed ${ended.length}`);
      if (ended.length > 0) await Promise.all([committed, Promise.reject(refusal)]);
      return "returned";
    },
    (store) => ({
      ...outsideOf(store),
      commit: async (...given) => {
        await end.promise;
        const kept = await store.commit?.(...given);
        ended.push("commit");
        return kept ?? false;
      },
    }),
  );
  const answer = call(NO_KEY).finally(() => ended.push("call"));
  await new Promise((resolve) => setImmediate(resolve));
  expect(ended).toEqual([]);
  end.resolve();
  expect(await answer).toBe("committed 0");
  expect(await rejection(call(NO_KEY).finally(() => ended.push("call")))).toBe(refusal);
  expect([ended, errors]).toEqual([["commit", "call", "commit", "call"], []]);
});

test("a handler that returns while its commit is failing fails with it, and the key is free", async () => {
  const refusal = new RangeError("no");
  const works: (() => string)[] = [
    () => {
      throw refusal;
    },
  ];
  const { clock, call, errors } = setUp(async (database, _, { idempotency }) => {
    idempotency.commit(database, works.shift() ?? (() => "committed")).catch(() => {});
    return "returned";
  });
  expect(await rejection(call())).toBe(refusal);
  expect([await call(), errors, clock.now()]).toEqual(["committed", [], 0]);
});

test.each([
  ["keeps what is committed", "committed"],
  ["fails, and gives its key back, once it has failed", "again"],
])("a handler that throws while its commit is under way %s", async (_, answer) => {
  const [commit, refusal] = [gate(), new RangeError("no")];
  const fail = () => {
    throw new Error("rolled back");
  };
  const works = [answer === "committed" ? () => answer : fail];
  const released: number[] = [];
  const { clock, call, errors } = setUp(
    async (database, _, { idempotency }) => {
      const work = works.shift();
      if (!work) return "again";
      return Promise.all([idempotency.commit(database, work), Promise.reject(refusal)]);
    },
    (store) => ({
      ...outsideOf(store),
      commit: async (...given) => {
        await commit.promise;
        return store.commit?.(...given) ?? false;
      },
      release: (claim) => {
        released.push(clock.now());
        return store.release(claim);
      },
    }),
  );
  const failed = rejection(call());
  // Longer than a lease, and than a refusal waits for its key.
  await clock.advance(2 * LEASE_MS);
  expect(released).toEqual([]);
  commit.resolve();
  expect(await failed).toBe(refusal);
  expect([await call(), errors]).toEqual([answer, []]);
  expect(released).toEqual(answer === "again" ? [2 * LEASE_MS] : []);
  expect(clock.pending).toBe(0);
});

test("a handler whose commit failed before it returned may answer all the same", async () => {
  const { call } = setUp(async (database, _, { idempotency }) => {
    const failing = () => {
      throw new RangeError("no");
    };
    return idempotency.commit(database, failing).catch(() => "without");
  });
  expect([await call(), await call()]).toEqual(["without", "without"]);
});

test("what is committed and cannot be encoded is told of as what is returned is, and rolled back", async () => {
  const answers = [1n, "ok"];
  const { call } = setUp(async (database, _, { idempotency }) => idempotency.commit(database, () => answers.shift()));
  await expect(call()).rejects.toThrow(/^the handler of .* a bigint, not a message$/);
  expect([await call(), await call()]).toEqual(["ok", "ok"]);
});

test("callers whom the database would take for one are each given their own answer", async () => {
  let runs = 0;
  const { call } = setUp(async (database, _, { idempotency }) => idempotency.commit(database, () => ++runs));
  const halves = ["token:a|\ud800", "token:a|\ud801"];
  const answers: unknown[] = [];
  for (const identity of [...halves, ...halves]) answers.push(await call("k", identity));
  expect(answers).toEqual([1, 2, 1, 2]);
});

test("what a handler changes of its answer after the commit changes nothing", async () => {
  const { call } = setUp(async (database, _, { idempotency }) => {
    const answer = await idempotency.commit(database, () => ({ orderId: "o-1" }));
    return Object.assign(answer, { orderId: "o-2" });
  });
  expect([await call(), await call()]).toEqual([{ orderId: "o-1" }, { orderId: "o-1" }]);
});
