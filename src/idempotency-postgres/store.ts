import type { ClientBase, Pool, PoolClient } from "pg";
import { checkOptions, isObject, type OptionCheck, show } from "../core/check-options.ts";
import type { Claim, ClaimOutcome, ClaimWish, IdempotencyId, IdempotencyStore } from "../server/index.ts";
import { type Statements, statementsFor } from "./statements.ts";
import { inTransaction } from "./transaction.ts";

/** What a store in PostgreSQL is made with. */
export interface PostgresIdempotencyOptions {
  /** The table, with its schema if that is not on the search path. Default: `bowline_idempotency`. */
  readonly table?: string | undefined;
}

/** After how many claims some of what has expired is deleted: more of it than they can have added. */
const CLAIMS_PER_PURGE = 100;

const DEFAULT_TABLE = "bowline_idempotency";

const OPTIONS: Readonly<Record<keyof PostgresIdempotencyOptions, OptionCheck>> = {
  table: (value) =>
    typeof value === "string" && /^[a-z_]\w*(\.[a-z_]\w*)?$/.test(value)
      ? undefined
      : `must be a name in lower case, such as app.idempotency; it is ${show(value)}`,
};

/**
 * The SQL that makes the store's table, for a migration. It may be run again.
 *
 * @throws TypeError for what is no table's name.
 */
export function postgresIdempotencySchema(table: string = DEFAULT_TABLE): string {
  checked({ table });
  return statementsFor(table).schema;
}

/**
 * Keeps answers in PostgreSQL, for any number of servers; leases go by the database's clock. A handler that writes to
 * the same database keeps its answer in its own transaction: `context.idempotency.commit(pool, async (client) => order)`.
 * The table is there already: see `postgresIdempotencySchema`. It does not close the pool.
 *
 * @param pool of `pg`, connected to a primary: what a replica shows may be old.
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function postgresIdempotency(pool: Pool, options: PostgresIdempotencyOptions = {}): IdempotencyStore {
  const { table = DEFAULT_TABLE } = checked(options, isPool(pool) ? [] : ["the first argument must be a Pool of pg"]);
  return new PostgresStore(pool, statementsFor(table));
}

function checked(options: PostgresIdempotencyOptions, others: readonly string[] = []): PostgresIdempotencyOptions {
  const problems = [...others, ...checkOptions(options, OPTIONS)];
  if (problems.length > 0) throw new TypeError(`postgresIdempotency: ${problems.join("; ")}`);
  return options;
}

type Queryable = Pick<ClientBase, "query">;

class PostgresStore implements IdempotencyStore {
  readonly #pool: Pool;
  readonly #statements: Statements;
  #claims = 0;

  constructor(pool: Pool, statements: Statements) {
    this.#pool = pool;
    this.#statements = statements;
  }

  async claim(wish: ClaimWish): Promise<ClaimOutcome> {
    const { fingerprint, leaseMs, ttlMs } = wish;
    this.#claims += 1;
    // Before the claim: if it fails, nothing has been claimed.
    if (this.#claims % CLAIMS_PER_PURGE === 0) await this.#pool.query(this.#statements.purge);
    for (;;) {
      const claimed = await this.#pool.query(this.#statements.claim, [...idOf(wish), fingerprint, leaseMs, ttlMs]);
      const [row] = claimed.rows;
      if (row) return { state: "claimed", token: Number(row.token), takenOver: row.taken_over };
      const outcome = await this.#look(wish);
      // It was released in between.
      if (outcome) return outcome;
    }
  }

  async renew(held: Claim): Promise<boolean> {
    return this.#change(this.#pool, this.#statements.renew, held, held.leaseMs, held.ttlMs);
  }

  async complete(held: Claim, answer: Uint8Array): Promise<boolean> {
    return this.#change(this.#pool, this.#statements.complete, held, held.ttlMs, answer);
  }

  async release(held: Claim): Promise<void> {
    await this.#change(this.#pool, this.#statements.release, held);
  }

  async commit(
    database: object,
    work: (tx: object) => Uint8Array | Promise<Uint8Array>,
    held: Claim | undefined,
  ): Promise<boolean> {
    return withClient(database, (client) =>
      inTransaction(client, async () => {
        const answer = await work(client);
        return held === undefined || this.#change(client, this.#statements.commit, held, held.ttlMs, answer);
      }),
    );
  }

  /** What keeps a key from being claimed; undefined if nothing does any more. */
  async #look(wish: ClaimWish): Promise<ClaimOutcome | undefined> {
    const found = await this.#pool.query(this.#statements.look, idOf(wish));
    const [row] = found.rows;
    if (!row) return undefined;
    if (row.fingerprint !== wish.fingerprint) return { state: "conflict" };
    if (row.answer) return { state: "answered", answer: row.answer };
    return row.lease_ms > 0 ? { state: "running", leaseMs: row.lease_ms } : undefined;
  }

  async #change(client: Queryable, statement: string, held: Claim, ...values: unknown[]): Promise<boolean> {
    const { rowCount } = await client.query(statement, [...idOf(held), held.token, ...values]);
    return rowCount === 1;
  }
}

function idOf({ identity, method, key }: IdempotencyId): [string, string, string] {
  return [identity, method, key];
}

/** Does work with a pool's client, or with the client itself. */
async function withClient<T>(database: object, work: (client: ClientBase) => Promise<T>): Promise<T> {
  if (!isPool(database)) {
    if (isClient(database)) return work(database);
    throw new TypeError("idempotency.commit: the first argument must be a Pool or Client of pg");
  }
  const client: PoolClient = await database.connect();
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  // Without a listener, a connection that breaks while it is not asked anything would end the process.
  client.on("error", onError);
  try {
    return await work(client);
  } finally {
    client.off("error", onError);
    client.release(broken);
  }
}

function isClient(database: object): database is ClientBase {
  return "query" in database && typeof database.query === "function";
}

/** By what it has, since an application may have another copy of pg. */
function isPool(database: object): database is Pool {
  return isObject(database) === undefined && "totalCount" in database && "connect" in database;
}
