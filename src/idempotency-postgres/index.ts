export { type PostgresIdempotencyOptions, postgresIdempotency, postgresIdempotencySchema } from "./store.ts";
