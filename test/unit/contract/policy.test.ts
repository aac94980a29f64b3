import { describe, expect, test } from "vitest";
import { mergePolicy } from "../../../src/contract/policy.ts";

describe("mergePolicy", () => {
  test("of nothing is nothing", () => {
    expect(mergePolicy({}, {}, false)).toEqual({});
  });

  test.each([
    ["the method's own timeout", { timeoutMs: 2_000 }, { timeoutMs: 300 }, false, 300],
    ["the method's own timeout, though it is longer", { timeoutMs: 300 }, { timeoutMs: 2_000 }, false, 2_000],
    ["else its service's", { timeoutMs: 2_000 }, {}, false, 2_000],
    ["none for a stream, whatever its service says", { timeoutMs: 2_000 }, {}, true, undefined],
    ["a stream's own timeout", { timeoutMs: 2_000 }, { timeoutMs: 300 }, true, 300],
  ])("takes %s", (_, service, method, responseStream, expected) => {
    expect(mergePolicy(service, method, responseStream).timeoutMs).toBe(expected);
  });

  test("merges the breaker setting by setting", () => {
    const service = { breaker: { failureRatio: 0.5, trials: 2 } };
    expect(mergePolicy(service, { breaker: { trials: 7, openMs: 100 } }, false).breaker).toEqual({
      failureRatio: 0.5,
      trials: 7,
      openMs: 100,
    });
    expect(mergePolicy(service, {}, true).breaker).toEqual(service.breaker);
    expect(mergePolicy({}, { breaker: { trials: 7 } }, false).breaker).toEqual({ trials: 7 });
  });

  test("merges the bulkhead setting by setting, of streams too", () => {
    const service = { bulkhead: { maxConcurrent: 10, maxQueued: 5 } };
    expect(mergePolicy(service, { bulkhead: { maxQueued: 0 } }, true).bulkhead).toEqual({
      maxConcurrent: 10,
      maxQueued: 0,
    });
    expect(mergePolicy(service, {}, true).bulkhead).toEqual(service.bulkhead);
    expect(mergePolicy({}, { bulkhead: {} }, false).bulkhead).toEqual({});
  });

  test("leaves to the service what is for all methods together", () => {
    const service = { adaptiveLimit: {}, throttle: {}, retryBudget: {}, retryThrottling: {} };
    expect(mergePolicy(service, {}, false)).toEqual({});
  });

  test("an empty breaker asks for one with defaults", () => {
    expect(mergePolicy({ breaker: {} }, {}, false)).toEqual({ breaker: {} });
  });

  test("keeps what only methods say, and changes neither record", () => {
    const service = Object.freeze({ timeoutMs: 1 });
    const method = Object.freeze({ retry: { maxAttempts: 2 }, idempotencyKey: {} });
    expect(mergePolicy(service, method, false)).toEqual({
      timeoutMs: 1,
      retry: { maxAttempts: 2 },
      idempotencyKey: {},
    });
  });
});
