import type { DatabaseSync } from "node:sqlite";

/**
 * Does all of the work or, if it throws or rolls back, none of it.
 *
 * @throws what the work throws; Error if a transaction is open already, which would be ended here.
 */
export function transaction<T>(database: DatabaseSync, work: (rollBack: () => void) => T): T {
  if (database.isTransaction) throw new Error("sqliteIdempotency: the database is in a transaction already");
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work(() => database.exec("ROLLBACK"));
    if (database.isTransaction) database.exec("COMMIT");
    return result;
  } catch (error) {
    // SQLite itself rolls some failures back, such as a full disk.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
