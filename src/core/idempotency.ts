/** The metadata key of an idempotency key: the IETF's `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). */
export const IDEMPOTENCY_KEY = "idempotency-key";

/** The longest key, in bytes; Stripe's bound. */
const LONGEST_KEY = 255;

/**
 * What is wrong with an idempotency key, after its name: "must be …"; undefined if nothing is. A space or comma is
 * refused because two headers of one name arrive as one, joined by them.
 */
export function keyProblem(key: unknown): string | undefined {
  if (typeof key !== "string") return `must be a text; it is ${typeof key}`;
  if (key.length < 1 || key.length > LONGEST_KEY) {
    return `must have from 1 to ${LONGEST_KEY} characters; it has ${key.length}`;
  }
  return /^[!-+\--~]+$/.test(key)
    ? undefined
    : "must have printable ASCII characters alone, and neither space nor comma";
}

/** What a database's transaction is to the work in it: the client that a pool gave, or the database itself. */
export type TransactionOf<Database> = Database extends {
  connect: { (): Promise<infer Client>; (...args: never[]): void };
}
  ? Client
  : Database;

/** The call's idempotency key, and what can be done with it. */
export interface Idempotency {
  /** Undefined if the client sent none, or the contract does not mark the method. */
  readonly key: string | undefined;
  /**
   * The fencing token of this run of the handler: greater than that of each run before under the same key. For other
   * systems that refuse what comes late. Undefined without a key.
   */
  readonly token: number | undefined;
  /**
   * Whether an earlier run under the key was cut off, by a crash or a long pause: some of its work may be done. Of all
   * runs after it, also where one in between has failed.
   */
  readonly takenOver: boolean;
  /**
   * Does the work and keeps its answer in one transaction of the database: either both are there, or neither. It
   * begins and ends the transaction itself. Without a key it is a plain transaction.
   *
   * @param db what the server's store knows: for SQLite a `DatabaseSync` on the store's file, for PostgreSQL a pool or
   *   client of the store's database.
   * @param work gets the transaction's client and returns the handler's answer. With SQLite it must not be async.
   * @returns the answer, for the handler to return.
   * @throws what the work throws, with all of it rolled back; an error with which the call ends as UNAVAILABLE if
   *   another server has taken the key over; TypeError if the server's store is no database, the contract does not mark
   *   the method, and the second time.
   */
  commit<Database extends object, Answer>(
    db: Database,
    work: (tx: TransactionOf<Database>) => Answer | Promise<Answer>,
  ): Promise<Answer>;
}

/** The idempotency of a call whose method the contract does not mark. */
export const NO_IDEMPOTENCY: Idempotency = Object.freeze({
  key: undefined,
  token: undefined,
  takenOver: false,
  commit: () => Promise.reject(new TypeError("idempotency.commit: the contract gives this method no idempotency_key")),
});
