import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { sqliteIdempotency } from "bowline/idempotency-sqlite";
import { memoryIdempotency } from "bowline/server";
import { fakeClock, type StoreUnderTest } from "bowline/testing";
import { onTestFinished } from "vitest";

/** A store in memory, on a clock of the test's. */
export async function openMemory(): Promise<StoreUnderTest> {
  const clock = fakeClock();
  return { store: memoryIdempotency({ clock }), pass: (ms) => clock.advance(ms) };
}

/** A file of its own for a test. */
export function temporaryFile(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), "bowline-idempotency-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, name);
}

/** A store in a SQLite file, and another connection to it as a handler has. */
export async function openSqlite(): Promise<StoreUnderTest> {
  const clock = fakeClock();
  const file = temporaryFile("idempotency.db");
  const [own, db] = [new DatabaseSync(file), new DatabaseSync(file, { readBigInts: true })];
  onTestFinished(() => own.close());
  onTestFinished(() => db.close());
  own.exec("PRAGMA journal_mode = WAL; CREATE TABLE notes (note TEXT)");
  const database = {
    db,
    async: false,
    write: (tx: object, note: string) => void (tx as DatabaseSync).prepare("INSERT INTO notes VALUES (?)").run(note),
    notes: () =>
      own
        .prepare("SELECT note FROM notes")
        .all()
        .map(({ note }) => String(note)),
  };
  return { store: sqliteIdempotency(own, { clock }), pass: (ms) => clock.advance(ms), database };
}
