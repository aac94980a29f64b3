import { DatabaseSync } from "node:sqlite";
import {
  adaptiveLimit,
  bearer,
  bulkhead,
  cache,
  cachedToken,
  circuitBreaker,
  clientMiddleware,
  coalesce,
  createClient,
  fail,
  forwardCallerToken,
  hedge,
  idempotencyKey,
  RpcError,
  resume,
  retry,
  settleAll,
  stall,
  throttle,
} from "bowline";
import { jwt, tokenIssuer } from "bowline/auth-jwt";
import { sqliteIdempotency } from "bowline/idempotency-sqlite";
import {
  createServer,
  heartbeat,
  idempotency,
  memoryIdempotency,
  memoryRateLimit,
  mtls,
  rateLimit,
  serverMiddleware,
  shed,
} from "bowline/server";
import { fakeClock } from "bowline/testing";
import { expect, test } from "vitest";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { mergePolicy } from "../../src/contract/policy.ts";
import { readSources } from "../support/sources.ts";

/** What an interface of options says, by name: whose other options it has too, and its optional members. */
interface Options {
  readonly others: string;
  readonly members: readonly { readonly name: string; readonly type: string }[];
}

const interfaces = [...readSources("src").values()].flatMap(({ code }) =>
  [...code.matchAll(/^(?:export )?interface (\w+)([^{]*) \{(\}|\n.*?^\})/gms)].map(
    ([, name = "", others = "", body = ""]): [string, Options] => [name, { others, members: optionalIn(body) }],
  ),
);
const options = new Map(interfaces);

function optionalIn(body: string) {
  const members = body.matchAll(/^ {2}(?:readonly )?(\w+)\?(.*?);$/gms);
  return [...members].map(([, name = "", type = ""]) => ({ name, type }));
}

/** What users write, by its name. */
const written = interfaces.filter(
  ([name]) => /(Options|Policy|Limits|Tls|Changes)$/.test(name) || ["Around", "TokenRequest"].includes(name),
);

test.each(written)("%s may have undefined for what is not said", (_, { members }) => {
  // With TypeScript's exactOptionalPropertyTypes, `?` alone would refuse what a user's own options leave undefined.
  expect(members.filter(({ type }) => !type.endsWith("| undefined"))).toEqual([]);
});

test("that is all options of a call, and some hundred others", () => {
  const { CallOptions, ...others } = Object.fromEntries(written);
  const names = CallOptions?.members.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["metadata", "onExpired", "onTrailer"]));
  expect(Object.values(others).flatMap(({ members }) => members).length).toBeGreaterThan(250);
});

/** All options of an interface that may be left out, those included that it takes over from others. */
function nothing(name: string): object {
  const { others, members } = options.get(name) ?? expect.unreachable(`there are options ${name}`);
  const inherited = [...others.matchAll(/\w+/g)]
    .filter(([other]) => options.has(other))
    .map(([other]) => nothing(other));
  return Object.assign({}, ...inherited, Object.fromEntries(members.map(({ name }) => [name, undefined])));
}

const methods = ["/shop.orders.v1.OrderService/WatchOrders"];
const { definition } = OrderService;
const issuer = "https://shop.example";

/** Each function, with options of which nothing is said but what must be. */
const makers: Record<string, () => unknown> = {
  createClient: () => createClient(OrderService, "127.0.0.1:1", nothing("ClientOptions"))[Symbol.dispose](),
  "createClient over TLS": () =>
    createClient(OrderService, "127.0.0.1:1", { tls: nothing("ClientTls") })[Symbol.dispose](),
  clientMiddleware: () => clientMiddleware(OrderService, nothing("PipelineOptions")),
  retry: () => retry(nothing("RetryMiddlewareOptions")),
  hedge: () => hedge(nothing("HedgeMiddlewareOptions")),
  bulkhead: () => bulkhead(nothing("BulkheadMiddlewareOptions")),
  adaptiveLimit: () => adaptiveLimit(nothing("AdaptiveLimitMiddlewareOptions")),
  throttle: () => throttle(nothing("ThrottleMiddlewareOptions")),
  coalesce: () => coalesce(definition, nothing("CoalesceMiddlewareOptions")),
  cache: () => cache(definition, { ...nothing("CacheMiddlewareOptions"), ttlMs: 1 }),
  resume: () =>
    resume({ ...nothing("ResumeMiddlewareOptions"), methods, requestField: "afterRevision", cursorField: "revision" }),
  stall: () => stall({ ...nothing("StallMiddlewareOptions"), methods, field: "heartbeat" }),
  circuitBreaker: () => circuitBreaker(nothing("CircuitBreakerOptions")),
  idempotencyKey: () =>
    idempotencyKey(definition, { ...nothing("IdempotencyKeyMiddlewareOptions"), methods: ["createOrder"] }),
  bearer: () => bearer("token", nothing("BearerOptions")),
  cachedToken: () => cachedToken(async () => ({ token: "token", expiresAt: 1 }), nothing("CachedTokenOptions")),
  forwardCallerToken: () => forwardCallerToken({ ...nothing("ForwardOptions"), targets: ["orders:1"] }),
  settleAll: () => settleAll({ a: () => 1 }, nothing("SettleAllOptions")),
  createServer: () => createServer(nothing("ServerOptions")),
  "a server's own check": () => createServer().health.check("database", () => {}, nothing("HealthCheckOptions")),
  drain: () => createServer().drain(nothing("DrainOptions")),
  listen: async () => {
    const server = createServer({ drainOn: [] });
    await server.listen("127.0.0.1:0", nothing("ListenOptions"));
    await server.drain({ timeoutMs: 1 });
  },
  "limits of a server": () => createServer({ rateLimit: nothing("RateLimitOptions"), shed: nothing("ShedOptions") }),
  serverMiddleware: () =>
    serverMiddleware(OrderService, {
      ...nothing("ServerOptions"),
      ...{ authenticate: false, validation: false, idempotency: false },
    }),
  heartbeat: () => heartbeat({ ...nothing("HeartbeatMiddlewareOptions"), methods, field: "heartbeat" }),
  idempotency: () =>
    idempotency(definition, {
      ...nothing("IdempotencyMiddlewareOptions"),
      ...{ store: memoryIdempotency(nothing("MemoryIdempotencyOptions")), methods: ["createOrder"] },
    }),
  rateLimit: () => rateLimit({ ...nothing("RateLimitMiddlewareOptions"), calls: 1 }),
  shed: () => shed(nothing("ShedMiddlewareOptions")),
  memoryRateLimit: () => memoryRateLimit(nothing("MemoryRateLimitOptions")),
  mtls: () => mtls(nothing("MtlsOptions")),
  jwt: () => jwt({ ...nothing("JwtOptions"), issuer, audience: "orders", secret: "s".repeat(32) }),
  tokenIssuer: () => tokenIssuer({ ...nothing("TokenIssuerOptions"), issuer }),
  "a token": () => tokenIssuer({ issuer }).sign({ ...nothing("TokenRequest"), subject: "users", audience: "orders" }),
  sqliteIdempotency: () => sqliteIdempotency(new DatabaseSync(":memory:"), nothing("SqliteIdempotencyOptions")),
  fakeClock: () => fakeClock(nothing("FakeClockOptions")),
};

test.each(Object.entries(makers))("%s takes undefined for what is not said", async (_, make) => {
  await make();
});

test("a refusal takes undefined for what is not said", () => {
  expect(() => fail("NOT_FOUND", "no such order", nothing("FailOptions"))).toThrow(RpcError);
});

test("what a method leaves undefined, its service says", () => {
  const service = {
    timeoutMs: 5,
    breaker: { openMs: 3_000, trials: 2 },
    bulkhead: { maxQueued: 7 },
    rateLimit: { calls: 9 },
    auth: { scopes: ["orders.read"] },
  };
  const own = {
    timeoutMs: undefined,
    breaker: { openMs: undefined, trials: 1 },
    bulkhead: { maxQueued: undefined },
    rateLimit: { calls: undefined, perMs: 5 },
    auth: undefined,
  };
  expect(mergePolicy(service, own, false)).toMatchObject({
    ...{ timeoutMs: 5, breaker: { openMs: 3_000, trials: 1 }, bulkhead: { maxQueued: 7 } },
    ...{ rateLimit: { calls: 9, perMs: 5 }, auth: { scopes: ["orders.read"] } },
  });
});
