import { readFileSync } from "node:fs";
import { redisRateLimit } from "bowline/rate-limit-redis";
import { memoryIdempotency, mtls } from "bowline/server";
import { protovalidate } from "bowline/validate";
import { Redis } from "ioredis";
import { SCOPE } from "./orders.ts";
import { knownCaller, type Variant } from "./served.ts";
import { freshTokens, sameToken, type Tokens } from "./tokens.ts";

const pem = (name: string) => readFileSync(new URL(`../../test/fixtures/tls/${name}`, import.meta.url), "utf8");
const ca = pem("ca.pem");
const server = { cert: pem("server.pem"), key: pem("server.key") };

/** Limits that are kept and never reached, on a machine that is busy with other things either. */
const rateLimit = { calls: 1_000_000, perMs: 1_000 };
const loopDelayMs = 10_000;
const shedFixed = { maxConcurrent: 1_000, loopDelayMs };
const shedAdaptive = { adaptive: { minLimit: 100, initialLimit: 100 }, loopDelayMs };

/** The variant that needs Redis. */
export const BY_REDIS = "rateLimitRedis";

const byToken = ({ authenticate, tokens }: Tokens) => ({ options: { authenticate }, calls: { tokens } });

/** What is measured against `nothing`, by name; each is made in a process of its own. */
export const variants: Readonly<Record<string, Variant>> = {
  nothing: { title: "nothing", serve: () => ({}) },
  again: { title: "nothing, in another process: how far two that are equal differ", serve: () => ({}) },
  known: {
    title: "authentication by a function that knows the caller at once; any caller may call",
    serve: () => ({ options: { authenticate: knownCaller }, scopes: [] }),
  },
  scope: {
    title: "… and only a caller with one scope may",
    serve: () => ({ options: { authenticate: knownCaller } }),
  },
  token: { title: "JWT and scope, the same token", serve: async () => byToken(await sameToken()) },
  es256: { title: "… a fresh token for each call, ES256", serve: async () => byToken(await freshTokens("ES256")) },
  rs256: { title: "… a fresh token for each call, RS256", serve: async () => byToken(await freshTokens("RS256")) },
  tls: { title: "TLS, no authentication", serve: () => ({ listen: { tls: server }, calls: { tls: { ca } } }) },
  mtls: {
    title: "mTLS and scope",
    serve: () => ({
      options: { authenticate: mtls({ scopes: () => [SCOPE] }) },
      listen: { tls: { ...server, ca } },
      calls: { tls: { ca, cert: pem("client.pem"), key: pem("client.key") } },
    }),
  },
  rateLimit: { title: "rate limit, counted in the process", serve: () => ({ options: { rateLimit } }) },
  [BY_REDIS]: {
    title: "rate limit, counted by Redis",
    serve: (port) => {
      const store = redisRateLimit(new Redis({ port }), { timeoutMs: 10_000 });
      return { options: { rateLimit: { ...rateLimit, store } } };
    },
  },
  shedFixed: { title: "shedding by a fixed limit", serve: () => ({ options: { shed: shedFixed } }) },
  shedAdaptive: {
    title: "shedding by a limit that follows the latency",
    serve: () => ({ options: { shed: shedAdaptive } }),
  },
  validation: {
    title: "validation of a request that has constraints on every field",
    serve: () => ({ options: { validation: protovalidate() } }),
  },
  idempotency: {
    title: "idempotency keys, kept in memory, a new one for each call",
    serve: () => ({ options: { idempotency: { store: memoryIdempotency() } }, calls: { keyed: true } }),
  },
  all: {
    title: "all together: JWT (the same token), scope, rate limit, adaptive shedding, validation, keys",
    serve: async () => {
      const { authenticate, tokens } = await sameToken();
      const idempotency = { store: memoryIdempotency() };
      const options = { authenticate, rateLimit, shed: shedAdaptive, validation: protovalidate(), idempotency };
      return { options, calls: { tokens, keyed: true } };
    },
  },
};
