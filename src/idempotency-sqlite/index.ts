export { type SqliteIdempotencyOptions, sqliteIdempotency } from "./store.ts";
