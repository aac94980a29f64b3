import { idempotencyStoreSuite } from "bowline/testing";
import { describe, test } from "vitest";
import { openMemory, openSqlite } from "../../support/idempotency-stores.ts";

describe("in memory", () => {
  for (const { name, run } of idempotencyStoreSuite(openMemory, { database: false })) test(name, run);
});

describe("in SQLite", () => {
  for (const { name, run } of idempotencyStoreSuite(openSqlite, { database: true })) test(name, run);
});
