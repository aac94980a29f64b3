import { describe, expect, test } from "vitest";
import { DEFAULT_TIMEOUT_MS } from "../../../src/contract/policy.ts";
import {
  failureCodes,
  resolveAdaptiveLimit,
  resolveBatch,
  resolveBreaker,
  resolveBudget,
  resolveBulkhead,
  resolveCache,
  resolveHedge,
  resolveRetry,
  resolveThrottle,
  resolveThrottling,
} from "../../../src/contract/resolve.ts";
import { Status, statusName } from "../../../src/core/status.ts";

const names = (codes: Iterable<number>) => [...codes].map(statusName);

describe("defaults", () => {
  test("of a call: ten seconds", () => {
    expect(DEFAULT_TIMEOUT_MS).toBe(10_000);
  });

  test("of a retry: three attempts at UNAVAILABLE, 50 ms doubled up to a second, full jitter", () => {
    expect(resolveRetry({})).toEqual({
      maxAttempts: 3,
      initialBackoffMs: 50,
      maxBackoffMs: 1_000,
      multiplier: 2,
      jitter: "full",
      codes: new Set([Status.UNAVAILABLE]),
      attemptTimeoutMs: undefined,
    });
  });

  test("of a throttle: ten tokens, a tenth of one back", () => {
    expect(resolveThrottling()).toEqual({ maxTokens: 10, tokenRatio: 0.1 });
    expect(resolveThrottling({})).toEqual(resolveThrottling());
  });

  test("of a budget: a tenth of the calls in ten seconds, and three under way", () => {
    expect(resolveBudget()).toEqual({ ratio: 0.1, windowMs: 10_000, minInFlight: 3 });
    expect(resolveBudget({})).toEqual(resolveBudget());
  });

  test("of a breaker: half failed or four of five slow, of twenty in ten seconds; open for 5 s to 60 s; five trials", () => {
    expect(resolveBreaker()).toEqual({
      failureRatio: 0.5,
      slowRatio: 0.8,
      slowMs: Number.POSITIVE_INFINITY,
      windowMs: 10_000,
      windowCalls: undefined,
      minimumCalls: 20,
      openMs: 5_000,
      maxOpenMs: 60_000,
      trials: 5,
      trialTimeoutMs: 5_000,
    });
    expect(resolveBreaker({})).toEqual(resolveBreaker());
  });

  test("of hedging: a second attempt at the 95th percentile, or at UNAVAILABLE", () => {
    expect(resolveHedge({})).toEqual({
      maxAttempts: 2,
      delayMs: undefined,
      nonFatalCodes: new Set([Status.UNAVAILABLE]),
    });
  });

  test("of a bulkhead: 25 under way, and none waits", () => {
    expect(resolveBulkhead()).toEqual({ maxConcurrent: 25, maxQueued: 0, maxWaitMs: Number.POSITIVE_INFINITY });
    expect(resolveBulkhead({})).toEqual(resolveBulkhead());
  });

  test("of an adaptive limit: from 20, between 5 and 200", () => {
    const expected = { initialLimit: 20, minLimit: 5, maxLimit: 200, tolerance: 1.5, smoothing: 0.2 };
    expect(resolveAdaptiveLimit()).toEqual(expected);
    expect(resolveAdaptiveLimit({})).toEqual(expected);
  });

  test("of throttling: two requests for each that is accepted, over two minutes", () => {
    expect(resolveThrottle()).toEqual({ k: 2, windowMs: 120_000 });
    expect(resolveThrottle({})).toEqual(resolveThrottle());
  });

  test("of a cache: nothing stale, a thousand answers, 16 MiB", () => {
    expect(resolveCache({ ttlMs: 7 })).toEqual({
      ttlMs: 7,
      staleWhileRevalidateMs: 0,
      staleIfErrorMs: 0,
      maxEntries: 1_000,
      maxBytes: 16_777_216,
    });
  });

  test("of a batch: a hundred calls, a millisecond", () => {
    expect(resolveBatch({})).toEqual({ maxSize: 100, maxWaitMs: 1 });
  });

  test("of a breaker's failures", () => {
    const failures = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN"];
    expect(names(failureCodes())).toEqual(failures);
    expect(names(failureCodes({ codes: [] }))).toEqual(failures);
  });
});

describe("what is said goes before the default", () => {
  test("of a retry", () => {
    const said = { initialBackoffMs: 1, maxBackoffMs: 2, multiplier: 3, jitter: "a6", attemptTimeoutMs: 4 } as const;
    expect(resolveRetry({ ...said, maxAttempts: 4, codes: ["ABORTED"] })).toEqual({
      ...said,
      maxAttempts: 4,
      codes: new Set([Status.ABORTED]),
    });
  });

  test("of a throttle, a budget and a breaker", () => {
    const throttling = { maxTokens: 1, tokenRatio: 2 };
    const budget = { ratio: 0.2, windowMs: 3, minInFlight: 4 };
    const breaker = {
      ...{ failureRatio: 0.1, slowRatio: 0.2, slowMs: 3, windowMs: 4, windowCalls: 9, minimumCalls: 6 },
      ...{ openMs: 7, maxOpenMs: 8, trials: 9, trialTimeoutMs: 10 },
    };
    expect(resolveThrottling(throttling)).toEqual(throttling);
    expect(resolveBudget(budget)).toEqual(budget);
    expect(resolveBreaker(breaker)).toEqual(breaker);
  });

  test("of hedging", () => {
    expect(resolveHedge({ maxAttempts: 4, delayMs: 0, nonFatalCodes: ["ABORTED"] })).toEqual({
      maxAttempts: 4,
      delayMs: 0,
      nonFatalCodes: new Set([Status.ABORTED]),
    });
    expect(names(resolveHedge({ nonFatalCodes: [] }).nonFatalCodes)).toEqual(["UNAVAILABLE"]);
  });

  test("of isolation, a cache and a batch", () => {
    const bulkhead = { maxConcurrent: 1, maxQueued: 2, maxWaitMs: 3 };
    const limit = { initialLimit: 2, minLimit: 1, maxLimit: 3, tolerance: 4, smoothing: 0.5 };
    const throttle = { k: 1.1, windowMs: 2 };
    const cache = { ttlMs: 1, staleWhileRevalidateMs: 2, staleIfErrorMs: 3, maxEntries: 4, maxBytes: 5 };
    const batch = { maxSize: 2, maxWaitMs: 0 };
    expect(resolveBulkhead(bulkhead)).toEqual(bulkhead);
    expect(resolveAdaptiveLimit(limit)).toEqual(limit);
    expect(resolveThrottle(throttle)).toEqual(throttle);
    expect(resolveCache(cache)).toEqual(cache);
    expect(resolveBatch(batch)).toEqual(batch);
  });
});

describe("attempts", () => {
  test.each([
    [2, 2],
    [5, 5],
    [6, 5],
    [1_000, 5],
  ])("R1 %d are taken as %d", (said, taken) => {
    expect(resolveRetry({ maxAttempts: said }).maxAttempts).toBe(taken);
  });

  test.each([
    [undefined, 10, 3],
    [9, 10, 9],
    [11, 10, 10],
    [undefined, 2, 2],
  ])("R1 %s are taken, with a limit of %d, as %d", (said, limit, taken) => {
    expect(resolveRetry(said === undefined ? {} : { maxAttempts: said }, limit).maxAttempts).toBe(taken);
  });
});

test.each([
  [9, undefined, 5],
  [9, 10, 9],
  [11, 10, 10],
])("R1 %d hedged attempts are taken, with a limit of %s, as %d", (maxAttempts, limit, taken) => {
  expect(resolveHedge({ maxAttempts }, limit).maxAttempts).toBe(taken);
});

describe("the defaults of an adaptive limit contradict nothing that is said", () => {
  test.each([
    [{ initialLimit: 3 }, [3, 3, 200]],
    [{ initialLimit: 300 }, [5, 300, 300]],
    [{ minLimit: 50 }, [50, 50, 200]],
    [{ minLimit: 300 }, [300, 300, 300]],
    [{ maxLimit: 10 }, [5, 10, 10]],
    [{ maxLimit: 3 }, [3, 3, 3]],
    [{ minLimit: 1, initialLimit: 300 }, [1, 300, 300]],
    [{ minLimit: 30, maxLimit: 40 }, [30, 30, 40]],
    [{ minLimit: 1, maxLimit: 2 }, [1, 2, 2]],
    [{ initialLimit: 3, maxLimit: 4 }, [3, 3, 4]],
  ])("%j", (said, expected) => {
    const { minLimit, initialLimit, maxLimit } = resolveAdaptiveLimit(said);
    expect([minLimit, initialLimit, maxLimit]).toEqual(expected);
  });
});

describe("a count window", () => {
  test.each([
    [5, 5],
    [20, 20],
    [100, 20],
  ])("of %d calls needs %d of them, and forgets after ten minutes", (windowCalls, minimumCalls) => {
    expect(resolveBreaker({ windowCalls })).toMatchObject({ windowCalls, minimumCalls, windowMs: 600_000 });
  });

  test("keeps the time that is said", () => {
    expect(resolveBreaker({ windowCalls: 5, windowMs: 1_000 })).toMatchObject({ windowCalls: 5, windowMs: 1_000 });
  });
});

test.each([
  ["in any case", ["unavailable", "Aborted"], ["UNAVAILABLE", "ABORTED"]],
  ["as numbers", ["14", "10"], ["UNAVAILABLE", "ABORTED"]],
  ["twice", ["UNAVAILABLE", "14"], ["UNAVAILABLE"]],
  ["not at all", [], ["UNAVAILABLE"]],
])("R9 statuses may be named %s", (_, codes, expected) => {
  expect(names(resolveRetry({ codes: codes as never }).codes)).toEqual(expected);
});
