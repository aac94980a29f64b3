export { type RedisIdempotencyOptions, redisIdempotency } from "./store.ts";
