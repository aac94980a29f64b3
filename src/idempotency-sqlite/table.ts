import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { IdempotencyRecord } from "../policy/idempotency.ts";
import type { IdempotencyId } from "../server/index.ts";

/** The statements of one connection. */
interface Statements {
  readonly get: StatementSync;
  readonly put: StatementSync;
  readonly purge: StatementSync;
}

/** How many rows that have expired a claim takes with it: so the table never holds more than a day's, and no claim waits long. */
const PURGED_PER_CLAIM = 10;

/** The records, as rows of a table. */
export class RecordTable {
  readonly #name: string;
  readonly #statements = new WeakMap<DatabaseSync, Statements>();

  constructor(name: string) {
    this.#name = name;
  }

  create(database: DatabaseSync): void {
    database.exec(`
      CREATE TABLE IF NOT EXISTS ${this.#name} (
        identity TEXT NOT NULL,
        method TEXT NOT NULL,
        key TEXT NOT NULL,
        fingerprint TEXT, -- of the request; NULL where the claim was released
        token INTEGER NOT NULL,
        lease_ends_at REAL NOT NULL, -- milliseconds since 1970, UTC
        expires_at REAL NOT NULL,
        answer BLOB,
        PRIMARY KEY (identity, method, key)
      ) STRICT;
      CREATE INDEX IF NOT EXISTS ${this.#name}_expiry ON ${this.#name} (expires_at)`);
  }

  get(database: DatabaseSync, { identity, method, key }: IdempotencyId): IdempotencyRecord | undefined {
    const row = this.#of(database).get.get(identity, method, key);
    return (
      row && {
        fingerprint: row.fingerprint === null ? undefined : String(row.fingerprint),
        // The connection may read integers as bigints.
        token: Number(row.token),
        leaseEndsAt: Number(row.lease_ends_at),
        expiresAt: Number(row.expires_at),
        answer: row.answer instanceof Uint8Array ? row.answer : undefined,
      }
    );
  }

  put(database: DatabaseSync, { identity, method, key }: IdempotencyId, record: IdempotencyRecord): void {
    const { fingerprint = null, token, leaseEndsAt, expiresAt, answer = null } = record;
    this.#of(database).put.run(identity, method, key, fingerprint, token, leaseEndsAt, expiresAt, answer);
  }

  /** Deletes some of what has expired. */
  purge(database: DatabaseSync, now: number): void {
    this.#of(database).purge.run(now, PURGED_PER_CLAIM);
  }

  #of(database: DatabaseSync): Statements {
    let statements = this.#statements.get(database);
    if (!statements) {
      statements = this.#prepareIn(database);
      this.#statements.set(database, statements);
    }
    return statements;
  }

  #prepareIn(database: DatabaseSync): Statements {
    try {
      return this.#prepare(database);
    } catch (cause) {
      const message = `the database has no table ${this.#name} of the store's: it must be a connection to the same file`;
      throw new TypeError(`sqliteIdempotency: ${message}`, { cause });
    }
  }

  #prepare(database: DatabaseSync): Statements {
    const name = this.#name;
    return {
      get: database.prepare(`SELECT * FROM ${name} WHERE identity = ? AND method = ? AND key = ?`),
      put: database.prepare(`INSERT OR REPLACE INTO ${name} VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
      purge: database.prepare(
        `DELETE FROM ${name} WHERE rowid IN (SELECT rowid FROM ${name} WHERE expires_at <= ? LIMIT ?)`,
      ),
    };
  }
}
