import { describe, expect, test } from "vitest";
import type { AdaptiveLimitPolicy, CachePolicy, MethodPolicy, ServicePolicy } from "../../../src/contract/policy.ts";
import { checkMethodPolicy, checkServicePolicy, type MethodFacts } from "../../../src/contract/validate.ts";

const read: MethodFacts = { kind: "unary", idempotency: "NO_SIDE_EFFECTS" };

/** Problems as a table shows them: `path: message`. */
const listed = (problems: ReturnType<typeof checkMethodPolicy>) =>
  problems.map(({ path, message }) => `${path.join(".")}: ${message}`);

const positive = "must be greater than zero; it is";
const notNegative = "must not be negative; it is";
const count = "must be a whole number of at least 1; it is";
const ratio = "must be a ratio above 0 and at most 1; it is";
const nobodyWaits = "bulkhead.maxWaitMs: has no effect, since none may wait: set max_queued, or leave it out";

describe("a bulkhead", () => {
  test.each<[MethodPolicy["bulkhead"], string]>([
    [{ maxConcurrent: 0 }, `bulkhead.maxConcurrent: ${count} 0`],
    [{ maxConcurrent: 1.5 }, `bulkhead.maxConcurrent: ${count} 1.5`],
    [{ maxQueued: -1 }, "bulkhead.maxQueued: must be a whole number of at least 0; it is -1"],
    [
      { maxQueued: Number.POSITIVE_INFINITY },
      "bulkhead.maxQueued: must be a whole number of at least 0; it is Infinity",
    ],
    [{ maxQueued: 1, maxWaitMs: 0 }, `bulkhead.maxWaitMs: ${positive} 0 ms`],
    [{ maxQueued: 1, maxWaitMs: Number.NaN }, `bulkhead.maxWaitMs: ${positive} NaN ms`],
    [{ maxQueued: 0, maxWaitMs: 5 }, nobodyWaits],
    [{ maxWaitMs: 5 }, nobodyWaits],
  ])("%j is refused, of a service and of a method", (bulkhead = {}, problem) => {
    expect(listed(checkServicePolicy({ bulkhead }))).toEqual([problem]);
    expect(listed(checkMethodPolicy({ bulkhead }, read))).toEqual([problem]);
  });

  test("of a method does not let calls wait for longer than they may take", () => {
    const bulkhead = { maxQueued: 1, maxWaitMs: 300 };
    expect(checkMethodPolicy({ timeoutMs: 300, bulkhead }, read)).toEqual([]);
    expect(listed(checkMethodPolicy({ timeoutMs: 299, bulkhead }, read))).toEqual([
      "bulkhead.maxWaitMs: must not be greater than the timeout, 299 ms; it is 300 ms",
    ]);
  });

  test.each<[ServicePolicy["bulkhead"], MethodPolicy["bulkhead"], string[]]>([
    [{ maxQueued: 10 }, { maxWaitMs: 5 }, []],
    [{ maxConcurrent: 10 }, { maxWaitMs: 5 }, [nobodyWaits]],
    [{ maxQueued: 10 }, { maxQueued: 0, maxWaitMs: 5 }, [nobodyWaits]],
    // What the service says of its queue is not the method's mistake.
    [{ maxQueued: 10, maxWaitMs: 5 }, { maxQueued: 0 }, []],
  ])("of a service that says %j goes together with %j", (inherited = {}, bulkhead = {}, problems) => {
    expect(listed(checkMethodPolicy({ bulkhead }, read, { bulkhead: inherited }))).toEqual(problems);
  });

  test.each<[MethodPolicy["bulkhead"]]>([
    [{}],
    [{ maxConcurrent: 1, maxQueued: 0 }],
    [{ maxConcurrent: 1, maxQueued: 1, maxWaitMs: 0.5 }],
  ])("may say %j, on methods of every kind", (bulkhead = {}) => {
    expect(checkServicePolicy({ bulkhead })).toEqual([]);
    for (const kind of ["unary", "server-stream", "client-stream", "bidi"] as const) {
      expect(checkMethodPolicy({ bulkhead }, { kind, idempotency: "UNKNOWN" })).toEqual([]);
    }
  });
});

describe("an adaptive limit", () => {
  test.each<[AdaptiveLimitPolicy, string[]]>([
    [{ initialLimit: 0 }, [`initialLimit: ${count} 0`]],
    [{ minLimit: 0 }, [`minLimit: ${count} 0`]],
    [{ maxLimit: 2.5 }, [`maxLimit: ${count} 2.5`]],
    [{ minLimit: 6, initialLimit: 5 }, ["minLimit: must not be greater than the initial limit, 5; it is 6"]],
    [{ initialLimit: 6, maxLimit: 5 }, ["initialLimit: must not be greater than the greatest limit, 5; it is 6"]],
    [{ minLimit: 6, maxLimit: 5 }, ["minLimit: must not be greater than the greatest limit, 5; it is 6"]],
    [
      { minLimit: 7, initialLimit: 6, maxLimit: 5 },
      [
        "minLimit: must not be greater than the initial limit, 6; it is 7",
        "initialLimit: must not be greater than the greatest limit, 5; it is 6",
      ],
    ],
    [{ tolerance: 0.99 }, ["tolerance: must be at least 1, as long as usual; it is 0.99"]],
    [{ tolerance: Number.NaN }, ["tolerance: must be at least 1, as long as usual; it is NaN"]],
    [{ smoothing: 0 }, [`smoothing: ${ratio} 0`]],
    [{ smoothing: 1.1 }, [`smoothing: ${ratio} 1.1`]],
    [{}, []],
    [{ minLimit: 5, initialLimit: 5, maxLimit: 5, tolerance: 1, smoothing: 1 }, []],
    // The other two follow.
    [{ minLimit: 1_000 }, []],
    [{ maxLimit: 1 }, []],
    [{ initialLimit: 1 }, []],
  ])("%j", (adaptiveLimit, problems) => {
    const expected = problems.map((problem) => `adaptiveLimit.${problem}`);
    expect(listed(checkServicePolicy({ adaptiveLimit }))).toEqual(expected);
  });
});

describe("throttling", () => {
  test.each<[ServicePolicy["throttle"], string[]]>([
    [{ k: 0.99 }, ["throttle.k: must be at least 1, or what is accepted would be rejected too; it is 0.99"]],
    [{ k: Number.NaN }, ["throttle.k: must be at least 1, or what is accepted would be rejected too; it is NaN"]],
    [{ windowMs: 0 }, [`throttle.windowMs: ${positive} 0 ms`]],
    [{}, []],
    [{ k: 1, windowMs: 1 }, []],
  ])("%j", (throttle = {}, problems) => {
    expect(listed(checkServicePolicy({ throttle }))).toEqual(problems);
  });
});

describe("a cache", () => {
  test.each<[Partial<CachePolicy>, string[]]>([
    [{}, ["cache: cache has no ttl: say for how long an answer is fresh"]],
    [{ ttlMs: 0 }, [`cache.ttlMs: ${positive} 0 ms`]],
    [{ ttlMs: 1, staleWhileRevalidateMs: -1 }, [`cache.staleWhileRevalidateMs: ${notNegative} -1 ms`]],
    [{ ttlMs: 1, staleIfErrorMs: -0.5 }, [`cache.staleIfErrorMs: ${notNegative} -0.5 ms`]],
    [{ ttlMs: 1, maxEntries: 0 }, [`cache.maxEntries: ${count} 0`]],
    [{ ttlMs: 1, maxBytes: 0 }, [`cache.maxBytes: ${count} 0`]],
    [{ ttlMs: 1, staleWhileRevalidateMs: 0, staleIfErrorMs: 0, maxEntries: 1, maxBytes: 1 }, []],
  ])("%j", (cache, problems) => {
    expect(listed(checkMethodPolicy({ cache: cache as CachePolicy }, read))).toEqual(problems);
  });
});

describe("answers that calls share", () => {
  const kind = (of: string) => `on a ${of} method: only one request and its one response can stand for others`;
  const effects =
    "on a method that may have side effects, which calls would miss: set idempotency_level = NO_SIDE_EFFECTS if it has none";
  const policies = { coalesce: {}, cache: { ttlMs: 1 } };

  test.each(["coalesce", "cache"] as const)("%s is for unary methods without side effects", (key) => {
    const check = (facts: MethodFacts) => listed(checkMethodPolicy({ [key]: policies[key] }, facts));
    expect(check(read)).toEqual([]);
    expect(check({ kind: "unary", idempotency: "IDEMPOTENT" })).toEqual([`${key}: ${key} ${effects}`]);
    expect(check({ kind: "server-stream", idempotency: "NO_SIDE_EFFECTS" })).toEqual([
      `${key}: ${key} ${kind("server-stream")}`,
    ]);
    expect(check({ kind: "bidi", idempotency: "UNKNOWN" })).toEqual([
      `${key}: ${key} ${kind("bidi")}`,
      `${key}: ${key} ${effects}`,
    ]);
  });

  test("calls that share an attempt cannot each send a key", () => {
    expect(listed(checkMethodPolicy({ coalesce: {}, idempotencyKey: {} }, read))).toEqual([
      "coalesce: coalesce and idempotency_key exclude each other: calls that share an attempt cannot each send a key of their own",
    ]);
  });

  test("coalescing, a cache, retries or hedges, a breaker and a bulkhead go together", () => {
    const policy: MethodPolicy = { ...policies, breaker: {}, bulkhead: { maxQueued: 1 } };
    expect(checkMethodPolicy({ ...policy, retry: {} }, read)).toEqual([]);
    expect(checkMethodPolicy({ ...policy, hedge: {} }, read)).toEqual([]);
  });
});

test("all problems are told at once", () => {
  const service = {
    bulkhead: { maxConcurrent: 0, maxWaitMs: 0 },
    adaptiveLimit: { smoothing: 2 },
    throttle: { k: 0 },
  };
  expect(checkServicePolicy(service).map(({ path }) => path.join("."))).toEqual([
    "bulkhead.maxConcurrent",
    "bulkhead.maxWaitMs",
    "bulkhead.maxWaitMs",
    "adaptiveLimit.smoothing",
    "throttle.k",
  ]);
  const method: MethodPolicy = {
    bulkhead: { maxQueued: -1 },
    coalesce: {},
    cache: { ttlMs: 0, maxBytes: 0 },
    batch: { method: "GetMany", requestsField: "requests", responsesField: "responses", maxSize: 1 },
  };
  const paths = checkMethodPolicy(method, { kind: "bidi", idempotency: "NO_SIDE_EFFECTS" }).map(({ path }) => path);
  expect(paths.map((path) => path.join("."))).toEqual([
    "bulkhead.maxQueued",
    "coalesce",
    "cache.ttlMs",
    "cache.maxBytes",
    "cache",
    "batch.maxSize",
    "batch",
    "bulkhead",
  ]);
});
