import { DatabaseSync } from "node:sqlite";
import { checkOptions, isObject, type OptionCheck, show } from "../core/check-options.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { claim, complete, type IdempotencyRecord, release, renew } from "../policy/idempotency.ts";
import type { Claim, IdempotencyId, IdempotencyStore } from "../server/index.ts";
import { RecordTable } from "./table.ts";
import { transaction } from "./transaction.ts";

/** What a store in SQLite is made with. */
export interface SqliteIdempotencyOptions {
  /** The table, which is made if it is not there. Default: `bowline_idempotency`. */
  readonly table?: string | undefined;
  /** For tests; its wall time counts. Default: the machine's, which all processes that share a file have in common. */
  readonly clock?: Clock | undefined;
}

const OPTIONS: Readonly<Record<keyof SqliteIdempotencyOptions, OptionCheck>> = {
  table: (value) =>
    typeof value === "string" && /^[A-Za-z_]\w*$/.test(value) ? undefined : `must be a name; it is ${show(value)}`,
  clock: isObject,
};

/**
 * Keeps answers in a SQLite file, for the processes of one machine. A handler that writes to the same file keeps its
 * answer in its own transaction: `context.idempotency.commit(database, () => order)`, with any connection to the file
 * and work that is not async. It does not close the database.
 *
 * @param database open, on a file. Where other processes write to it, open it with a `timeout`.
 * @throws TypeError that lists everything that is wrong with the options; what SQLite throws for a table that it
 *   cannot make.
 */
export function sqliteIdempotency(database: DatabaseSync, options: SqliteIdempotencyOptions = {}): IdempotencyStore {
  const problems = [
    ...(database instanceof DatabaseSync ? [] : [`the first argument must be a DatabaseSync; it is ${show(database)}`]),
    ...checkOptions(options, OPTIONS),
  ];
  if (problems.length > 0) throw new TypeError(`sqliteIdempotency: ${problems.join("; ")}`);
  const { table = "bowline_idempotency", clock = systemClock } = options;
  return new SqliteStore(database, new RecordTable(table), clock);
}

type Change = (known: IdempotencyRecord | undefined, now: number) => IdempotencyRecord | undefined;

class SqliteStore implements IdempotencyStore {
  readonly #database: DatabaseSync;
  readonly #table: RecordTable;
  readonly #clock: Clock;

  constructor(database: DatabaseSync, table: RecordTable, clock: Clock) {
    this.#database = database;
    this.#table = table;
    this.#clock = clock;
    table.create(database);
  }

  async claim(wish: Parameters<IdempotencyStore["claim"]>[0]) {
    return transaction(this.#database, () => {
      const now = this.#clock.wallTime();
      const { outcome, record } = claim(this.#table.get(this.#database, wish), wish, now);
      if (record) {
        this.#table.put(this.#database, wish, record);
        this.#table.purge(this.#database, now);
      }
      return outcome;
    });
  }

  async renew(held: Claim): Promise<boolean> {
    return this.#change(held, (known, now) => renew(known, held.token, held, now));
  }

  async complete(held: Claim, answer: Uint8Array): Promise<boolean> {
    return this.#change(held, (known, now) => complete(known, held.token, answer, held, now));
  }

  async release(held: Claim): Promise<void> {
    this.#change(held, (known) => release(known, held.token));
  }

  async commit(
    database: object,
    work: (tx: object) => Uint8Array | Promise<Uint8Array>,
    held: Claim | undefined,
  ): Promise<boolean> {
    if (!(database instanceof DatabaseSync)) {
      throw new TypeError(`idempotency.commit: the first argument must be a DatabaseSync; it is ${show(database)}`);
    }
    return transaction(database, (rollBack) => {
      const answer = work(database);
      if (answer instanceof Promise) return refuseAsync(answer);
      const kept = !held || this.#write(database, held, (known, now) => commit(known, held, answer, now));
      if (!kept) rollBack();
      return kept;
    });
  }

  #change(id: IdempotencyId, change: Change): boolean {
    return transaction(this.#database, () => this.#write(this.#database, id, change));
  }

  #write(database: DatabaseSync, id: IdempotencyId, change: Change): boolean {
    const known = this.#table.get(database, id);
    const record = change(known, this.#clock.wallTime());
    if (record && record !== known) this.#table.put(database, id, record);
    return record !== undefined;
  }
}

/** Once: work that was committed, and whose owner did not hear of it, is not done a second time. */
function commit(
  known: IdempotencyRecord | undefined,
  held: Claim,
  answer: Uint8Array,
  now: number,
): IdempotencyRecord | undefined {
  return known?.answer ? undefined : complete(known, held.token, answer, held, now);
}

/** What others do with the connection meanwhile would be in the transaction too. */
function refuseAsync(answer: Promise<unknown>): never {
  // The work goes on, and what it comes to is nobody's.
  answer.catch(() => {});
  throw new TypeError("idempotency.commit: with SQLite the work must not be async; do what waits before it");
}
