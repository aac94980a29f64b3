import type { DatabaseSync } from "node:sqlite";
import type { User } from "../../../gen/shop/users/v1/users.ts";
import { openDatabase, transaction } from "../database.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS users (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    create_time_ms INTEGER NOT NULL
  )`;

/** How many users are read at a time, so that a slow reader keeps no read transaction open. */
const PAGE = 100;

interface UserRow {
  number: bigint;
  name: string;
  email: string;
  create_time_ms: bigint;
}

/** The users, in a SQLite file. A new one has 100 users in it, u-1 to u-100. */
export class UserStore {
  readonly #database: DatabaseSync;
  readonly #insert;
  readonly #byNumber;
  readonly #page;

  constructor(folder: string) {
    this.#database = openDatabase(folder, "users.db", SCHEMA);
    this.#insert = this.#database.prepare(
      "INSERT INTO users (name, email, create_time_ms) VALUES (?, ?, ?) ON CONFLICT (email) DO NOTHING RETURNING *",
    );
    this.#byNumber = this.#database.prepare("SELECT * FROM users WHERE number = ?");
    this.#page = this.#database.prepare("SELECT * FROM users WHERE number > ? ORDER BY number LIMIT ?");
    transaction(this.#database, () => this.#seed());
  }

  /** Adds a user; undefined if the e-mail address is taken. */
  create(name: string, email: string, createTime: Date = new Date()): User | undefined {
    const row = this.#insert.get(name, email, createTime.getTime());
    return row && toUser(row as unknown as UserRow);
  }

  get(userId: string): User | undefined {
    const number = /^u-(\d{1,15})$/.exec(userId)?.[1];
    const row = number && this.#byNumber.get(Number(number));
    return row ? toUser(row as unknown as UserRow) : undefined;
  }

  /** All users in the order of their ids, or the first so many of them. */
  *list(limit = Number.POSITIVE_INFINITY): Generator<User> {
    let last = 0n;
    for (let left = limit; left > 0; left -= PAGE) {
      const rows = this.#page.all(last, Math.min(left, PAGE)) as unknown as UserRow[];
      yield* rows.map(toUser);
      if (rows.length < PAGE) return;
      last = rows.at(-1)?.number ?? last;
    }
  }

  close(): void {
    this.#database.close();
  }

  #seed(): void {
    if (this.get("u-1")) return;
    const first = ["Ada", "Bela", "Cleo", "Dora", "Emil", "Frida", "Gus", "Hana", "Ivo", "Jun"];
    const last = ["Abbot", "Baker", "Cooper", "Dyer", "Fisher", "Glover", "Mason", "Potter", "Sawyer", "Weaver"];
    for (const [day, name] of last.flatMap((family) => first.map((given) => `${given} ${family}`)).entries())
      this.create(name, `${name.toLowerCase().replace(" ", ".")}@example.com`, new Date(Date.UTC(2025, 0, 1 + day)));
  }
}

function toUser(row: UserRow): User {
  const { name, email } = row;
  return { userId: `u-${row.number}`, name, email, createTime: new Date(Number(row.create_time_ms)) };
}
