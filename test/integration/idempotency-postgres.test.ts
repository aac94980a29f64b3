import { setTimeout as sleep } from "node:timers/promises";
import { postgresIdempotency, postgresIdempotencySchema } from "bowline/idempotency-postgres";
import type { Claim, ClaimWish, IdempotencyStore } from "bowline/server";
import { idempotencyStoreSuite, type StoreUnderTest } from "bowline/testing";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type DatabaseServer, hasPostgres, postgresAt, startPostgres } from "../support/database-servers.ts";
import { gate } from "../support/orders.ts";

const wish: ClaimWish = {
  ...{ identity: "peer:10.0.0.7", method: "/a.B/C", key: "k", fingerprint: "f" },
  ...{ leaseMs: 60_000, ttlMs: 60_000 },
};
const ANSWER = new Uint8Array([7]);

describe.skipIf(!hasPostgres())("PostgreSQL", () => {
  let server: DatabaseServer;
  let pool: pg.Pool;
  let tables = 0;

  beforeAll(async () => {
    server = await startPostgres();
    pool = new pg.Pool({ ...postgresAt(server.port), max: 8 });
    // A client that is ending is told when its server stops, and nobody else listens then.
    pool.on("connect", (client) => client.on("error", () => {}));
    pool.on("error", () => {});
  });
  afterAll(async () => {
    await pool?.end();
    await server?.stop();
  });

  /** A store in a table of its own, and another table for what handlers write. */
  async function open(): Promise<StoreUnderTest & { readonly table: string }> {
    tables += 1;
    const table = `kept_${tables}`;
    await pool.query(`${postgresIdempotencySchema(table)}; CREATE TABLE notes_${tables} (note text)`);
    const notes = `notes_${tables}`;
    const database = {
      db: pool,
      async: true,
      write: async (tx: object, note: string) => {
        await (tx as pg.PoolClient).query(`INSERT INTO ${notes} VALUES ($1)`, [note]);
      },
      notes: async () => (await pool.query(`SELECT note FROM ${notes}`)).rows.map(({ note }) => note),
    };
    return { store: postgresIdempotency(pool, { table }), pass: (ms) => sleep(ms), database, table };
  }

  async function claim(store: IdempotencyStore): Promise<Claim> {
    const outcome = await store.claim(wish);
    if (outcome.state !== "claimed") throw new Error(`the key is ${outcome.state}`);
    return { ...wish, token: outcome.token };
  }

  for (const { name, run } of idempotencyStoreSuite(open, { database: true })) test(name, run);

  test("its schema may be run again, by many at a time", async () => {
    const { table } = await open();
    await Promise.all(Array.from({ length: 5 }, () => pool.query(postgresIdempotencySchema(table))));
  });

  test("who wants a key whose answer is being committed waits for it", async () => {
    const { store } = await open();
    const held = await claim(store);
    const [began, go] = [gate(), gate()];
    const committed = store.commit?.(
      pool,
      async () => {
        began.resolve();
        await go.promise;
        return ANSWER;
      },
      { ...held },
    );
    await began.promise;
    expect(await store.claim(wish)).toMatchObject({ state: "running" });
    go.resolve();
    expect(await committed).toBe(true);
    expect(await store.claim(wish)).toMatchObject({ state: "answered" });
  });

  test("a client may be given instead of a pool, but not within a transaction", async () => {
    const { store } = await open();
    const client = new pg.Client(postgresAt(server.port));
    await client.connect();
    onTestFinished(() => client.end());
    await client.query("BEGIN");
    await expect(store.commit?.(client, () => ANSWER, undefined)).rejects.toThrow(/in a transaction already/);
    await client.query("ROLLBACK");
    expect(await store.commit?.(client, () => ANSWER, await claim(store))).toBe(true);
  });

  test("a client that one commit uses is refused to another one, whose work is not done", async () => {
    const { store, database } = await open();
    const client = new pg.Client(postgresAt(server.port));
    await client.connect();
    onTestFinished(() => client.end());
    const work = (note: string, fails: boolean) => async (tx: object) => {
      await database?.write(tx, note);
      if (fails) throw new RangeError(note);
      return ANSWER;
    };
    const first = store.commit?.(client, work("first", true), undefined);
    const second = store.commit?.(client, work("second", false), undefined);
    await expect(second).rejects.toThrow(/in a transaction already/);
    await expect(first).rejects.toThrow(RangeError);
    expect(await database?.notes()).toEqual([]);
    expect(await store.commit?.(client, work("third", false), undefined)).toBe(true);
    expect(await database?.notes()).toEqual(["third"]);
  });

  test("work that swallows a failed statement is not taken for committed", async () => {
    const { store, database } = await open();
    const swallow = async (tx: object) => {
      await database?.write(tx, "half");
      await (tx as pg.PoolClient).query("SELECT 1/0").catch(() => {});
      return ANSWER;
    };
    await expect(store.commit?.(pool, swallow, undefined)).rejects.toThrow(/rolled back/);
    await expect(store.commit?.(pool, swallow, await claim(store))).rejects.toThrow();
    expect(await database?.notes()).toEqual([]);
  });

  test("a connection that breaks in the middle of work leaves neither, and the pool goes on", async () => {
    const { store, database } = await open();
    const held = await claim(store);
    const broken = async (tx: object) => {
      await database?.write(tx, "half");
      const { rows } = await (tx as pg.PoolClient).query("SELECT pg_backend_pid() AS pid");
      await pool.query("SELECT pg_terminate_backend($1)", [rows[0].pid]);
      await database?.write(tx, "other half");
      return ANSWER;
    };
    await expect(store.commit?.(pool, broken, held)).rejects.toThrow();
    expect(await database?.notes()).toEqual([]);
    expect(await store.complete(held, ANSWER)).toBe(true);
  });

  test("what has expired is deleted by and by", async () => {
    const { store, table } = await open();
    for (const n of Array(30).keys()) {
      const outcome = await store.claim({ ...wish, key: `old-${n}`, leaseMs: 1, ttlMs: 1 });
      expect(outcome).toMatchObject({ state: "claimed" });
    }
    await sleep(10);
    for (const n of Array(100).keys()) await store.claim({ ...wish, key: `new-${n}` });
    const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${table} WHERE key LIKE 'old-%'`);
    expect(rows).toEqual([{ count: 0 }]);
  });

  test.each<[unknown[], string]>([
    [[{}], "postgresIdempotency: the first argument must be a Pool of pg"],
    [
      [undefined, { table: "a; DROP TABLE b", tabel: "x" }],
      "postgresIdempotency: the first argument must be a Pool of pg; " +
        'table must be a name in lower case, such as app.idempotency; it is "a; DROP TABLE b"; ' +
        "there is no option tabel; there are table",
    ],
  ])("refuses %j", (args, message) => {
    expect(() => Reflect.apply(postgresIdempotency, undefined, args)).toThrow(new TypeError(message));
  });
});
