export { type RedisRateLimitOptions, redisRateLimit } from "./store.ts";
