import { describe, expect, test } from "vitest";
import { resolveAdaptiveLimit, resolveBreaker, resolveThrottle } from "../../../src/contract/resolve.ts";
import { BreakerSet } from "../../../src/policy/breaker-set.ts";
import { Bulkhead } from "../../../src/policy/bulkhead.ts";
import { ClientThrottle } from "../../../src/policy/client-throttle.ts";
import { ResponseCache } from "../../../src/policy/response-cache.ts";
import { RetryBudget } from "../../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../../src/policy/retry-throttling.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aLimit, granted, queued, refused } from "../../support/isolating.ts";
import { aBreaker, begin, fail, granted as let1, open, rejection, statesOf, toTrial } from "../../support/machines.ts";

describe("a bulkhead", () => {
  const aBulkhead = (maxConcurrent: number, maxQueued = 0) => new Bulkhead({ maxConcurrent, maxQueued });

  test("with less room waits until as many have ended", () => {
    const bulkhead = aBulkhead(3);
    const running = [granted(bulkhead), granted(bulkhead), granted(bulkhead)];
    bulkhead.adjust({ maxConcurrent: 1, maxQueued: 0 });
    bulkhead.admit();
    expect(bulkhead.snapshot().underWay).toBe(3);
    for (const permit of running.slice(1)) {
      permit.release();
      refused(bulkhead);
    }
    running[0]?.release();
    granted(bulkhead);
    refused(bulkhead);
  });

  test("with more room lets in at once those who wait, in their order, and no more than there is room for", () => {
    const bulkhead = aBulkhead(1, 3);
    granted(bulkhead);
    const waiting = [queued(bulkhead), queued(bulkhead), queued(bulkhead)];
    bulkhead.adjust({ maxConcurrent: 3, maxQueued: 0 });
    bulkhead.admit();
    expect(waiting.map(({ permits }) => permits.length)).toEqual([1, 1, 0]);
    expect(bulkhead.snapshot()).toEqual({ underWay: 3, queued: 1 });
  });

  test("lets nobody in before all other bounds have changed too, nor past those who wait", () => {
    const bulkhead = aBulkhead(1, 1);
    granted(bulkhead);
    const waiting = queued(bulkhead);
    bulkhead.adjust({ maxConcurrent: 5, maxQueued: 1 });
    expect(waiting.permits.length).toBe(0);
    refused(bulkhead);
    bulkhead.admit();
    expect(waiting.permits.length).toBe(1);
    granted(bulkhead);
  });

  test("with a shorter queue lets nobody new wait, and those who do stay", () => {
    const bulkhead = aBulkhead(1, 2);
    const running = granted(bulkhead);
    const waiting = [queued(bulkhead), queued(bulkhead)];
    bulkhead.adjust({ maxConcurrent: 1, maxQueued: 1 });
    bulkhead.admit();
    refused(bulkhead);
    running.release();
    waiting[0]?.permits[0]?.release();
    expect(waiting.map(({ permits }) => permits.length)).toEqual([1, 1]);
  });

  test("whose limit is taken away lets in those who waited for it", () => {
    const { limit } = aLimit({ initialLimit: 1, minLimit: 1 });
    const bulkhead = new Bulkhead({ maxConcurrent: 5, maxQueued: 5 }, limit);
    const first = granted(bulkhead);
    const second = queued(bulkhead);
    bulkhead.adjust({ maxConcurrent: 5, maxQueued: 5 });
    bulkhead.admit();
    expect(second.permits.length).toBe(1);
    expect(limit.snapshot().inFlight).toBe(1);
    first.release();
    expect(limit.snapshot().inFlight).toBe(0);
  });

  test("that is given another limit waits for that one, whatever the one before says", () => {
    const [before, after] = [aLimit({ initialLimit: 1, minLimit: 1 }), aLimit({ initialLimit: 1, minLimit: 1 })];
    const bulkhead = new Bulkhead({ maxConcurrent: 5, maxQueued: 5 }, before.limit);
    const first = granted(bulkhead);
    const second = queued(bulkhead);
    const elsewhere = after.limit.tryAcquire();
    bulkhead.adjust({ maxConcurrent: 5, maxQueued: 5 }, after.limit);
    bulkhead.admit();
    first.release();
    expect(second.permits.length).toBe(0);
    elsewhere?.ignore();
    expect(second.permits.length).toBe(1);
    expect([before.limit.snapshot().inFlight, after.limit.snapshot().inFlight]).toEqual([0, 1]);
  });
});

describe("an adaptive limit", () => {
  test("stays where it is between the new bounds, and comes to the nearer of them from outside", () => {
    const { limit, told } = aLimit({ initialLimit: 20 });
    const adjust = (policy: object) => limit.adjust(resolveAdaptiveLimit(policy));
    adjust({ initialLimit: 50, maxLimit: 100 });
    expect(limit.snapshot().limit).toBe(20);
    adjust({ maxLimit: 8 });
    expect(limit.snapshot().limit).toBe(8);
    adjust({ minLimit: 30, maxLimit: 100 });
    expect(limit.snapshot().limit).toBe(30);
    expect(told).toEqual([
      [20, 8],
      [8, 30],
    ]);
  });

  test("that rises tells those who wait for room; one that falls counts what is under way", () => {
    const { limit } = aLimit({ initialLimit: 2, minLimit: 1 });
    const permits = [limit.tryAcquire(), limit.tryAcquire()];
    const told: string[] = [];
    limit.whenRoom(() => told.push("room"));
    limit.adjust(resolveAdaptiveLimit({ minLimit: 1, maxLimit: 1 }));
    permits[0]?.ignore();
    expect(limit.tryAcquire()).toBeUndefined();
    expect(told).toEqual([]);
    limit.adjust(resolveAdaptiveLimit({ minLimit: 2 }));
    expect(told).toEqual(["room"]);
  });
});

describe("a retry throttle", () => {
  const adjusted = (failures: number, maxTokens: number) => {
    const throttling = new RetryThrottling({ maxTokens: 10, tokenRatio: 0.1 });
    for (let n = 0; n < failures; n += 1) throttling.failure();
    throttling.adjust({ maxTokens, tokenRatio: 0.5 });
    return throttling;
  };

  test.each([
    [0, 100, 100],
    [4, 100, 60],
    [4, 5, 3],
    [10, 100, 0],
    [4, 10, 6],
  ])("that has lost %d of 10 tokens has, of %d, %d", (failures, maxTokens, tokens) => {
    expect(adjusted(failures, maxTokens).snapshot()).toMatchObject({ tokens, maxTokens });
  });

  test("gives back by its new ratio, up to its new most", () => {
    const throttling = adjusted(4, 5);
    throttling.success();
    expect(throttling.snapshot().tokens).toBe(3.5);
    for (let n = 0; n < 10; n += 1) throttling.success();
    expect(throttling.snapshot().tokens).toBe(5);
  });
});

describe("a retry budget", () => {
  const aBudget = () => {
    const budget = new RetryBudget({ ratio: 0.1, windowMs: 10_000, minInFlight: 0 }, fakeClock());
    for (let n = 0; n < 20; n += 1) budget.call();
    const permits = [budget.tryAcquire(), budget.tryAcquire()];
    return { budget, permits };
  };

  test("goes by another share of the same calls", () => {
    const { budget } = aBudget();
    expect(budget.tryAcquire()).toBeUndefined();
    budget.adjust({ ratio: 0.15, windowMs: 10_000, minInFlight: 0 });
    expect(budget.tryAcquire()).toBeDefined();
    expect(budget.tryAcquire()).toBeUndefined();
  });

  test("in another window counts anew, and knows what is under way", () => {
    const { budget, permits } = aBudget();
    budget.adjust({ ratio: 0.1, windowMs: 20_000, minInFlight: 2 });
    expect(budget.snapshot()).toEqual({ calls: 0, extraAttempts: 0, inFlight: 2 });
    expect(budget.tryAcquire()).toBeUndefined();
    permits[0]?.release();
    permits[0]?.release();
    expect(budget.snapshot().inFlight).toBe(1);
    expect(budget.tryAcquire()).toBeDefined();
  });
});

test("a client's throttle goes by another k at once, and in another window counts anew", () => {
  const throttle = new ClientThrottle(resolveThrottle({ k: 2 }), fakeClock(), () => 0.999_999);
  for (let n = 0; n < 10; n += 1) {
    const permit = throttle.tryAcquire();
    if (permit.granted) permit[n < 5 ? "success" : "failure"]();
  }
  expect(throttle.snapshot().probability).toBe(0);
  throttle.adjust(resolveThrottle({ k: 1 }));
  expect(throttle.snapshot()).toEqual({ requests: 10, accepts: 5, probability: 5 / 11 });
  throttle.adjust(resolveThrottle({ k: 1, windowMs: 1_000 }));
  expect(throttle.snapshot()).toEqual({ requests: 0, accepts: 0, probability: 0 });
});

test("a cache goes by other times for what it has kept, and by other bounds at once", () => {
  const clock = { at: 0, now: () => clock.at };
  const options = { ttlMs: 100, staleWhileRevalidateMs: 0, staleIfErrorMs: 0, maxEntries: 9, maxBytes: 100 };
  const cache = new ResponseCache(options, clock);
  for (const key of ["a", "b", "c"]) cache.keep(key, new Uint8Array(1), 0);
  clock.at = 150;
  cache.adjust({ ...options, staleIfErrorMs: 1_000 });
  expect([cache.find("a"), cache.findAfterError("a")?.stale]).toEqual([undefined, true]);
  cache.adjust({ ...options, ttlMs: 200, maxEntries: 2 });
  expect([cache.find("a")?.stale, cache.find("b"), cache.find("c")?.stale]).toEqual([false, undefined, false]);
  expect(cache.snapshot()).toEqual({ entries: 2, bytes: 4, refreshing: 0 });
});

describe("a breaker", () => {
  const tolerant = resolveBreaker({ minimumCalls: 3, openMs: 7_000, trials: 2 });

  test("that is open closes and begins anew, by its new options", () => {
    const set = aBreaker();
    open(set);
    set.breaker.adjust(tolerant);
    expect(statesOf(set.told)).toEqual(["open", "closed"]);
    fail(set.breaker, 2);
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 2 });
    fail(set.breaker, 1);
    expect(set.breaker.snapshot()).toMatchObject({ state: "open", retryAfterMs: 7_000 });
  });

  test("that is half-open closes: its trials count for nothing, and its new ones are as many as its options say", async () => {
    const set = aBreaker();
    await toTrial(set);
    const trial = let1(set.breaker);
    set.breaker.adjust(tolerant);
    trial.failure();
    expect(set.breaker.snapshot()).toMatchObject({ state: "closed", calls: 0, trials: 0 });
    fail(set.breaker, 3);
    await set.clock.advance(7_000);
    begin(set.breaker, 2);
    rejection(set.breaker);
  });

  test("that is closed forgets what it counted, and what is under way counts for nothing", () => {
    const { breaker, told } = aBreaker();
    fail(breaker, 1);
    const [before] = begin(breaker, 1);
    breaker.adjust(tolerant);
    before?.failure();
    expect(breaker.snapshot()).toMatchObject({ state: "closed", calls: 0 });
    expect(told).toEqual([]);
  });

  test("opens as short as the first time", async () => {
    const set = aBreaker();
    await toTrial(set);
    fail(set.breaker, 1);
    expect(set.breaker.snapshot().retryAfterMs).toBe(2_000);
    set.breaker.adjust(resolveBreaker({ minimumCalls: 1, openMs: 500 }));
    fail(set.breaker, 1);
    expect(set.breaker.snapshot().retryAfterMs).toBe(500);
  });

  test.each([
    ["forceOpen", "forced-open"],
    ["forceClosed", "forced-closed"],
    ["disable", "disabled"],
  ] as const)("after %s stays %s, until reset", (force, state) => {
    const { breaker, told } = aBreaker();
    breaker[force]();
    breaker.adjust(tolerant);
    expect(breaker.snapshot().state).toBe(state);
    expect(statesOf(told)).toEqual([state]);
    breaker.reset();
    fail(breaker, 2);
    expect(breaker.snapshot().state).toBe("closed");
  });
});

describe("a set of breakers without one of them", () => {
  const without = () => {
    const set = new BreakerSet();
    const gone = set.of("gone", () => aBreaker().breaker);
    set.of("here", () => aBreaker().breaker);
    set.retireBut(new Set(["here"]));
    return { set, gone };
  };

  test("does not show it, and has none of that name", () => {
    const { set } = without();
    expect(Object.keys(set.snapshot())).toEqual(["here"]);
    expect(() => set.forceOpen("gone")).toThrow(new TypeError('there is no breaker "gone"; there are here'));
  });

  test("has it again when somebody asks, as it stood", () => {
    const { set, gone } = without();
    fail(gone, 2);
    expect(set.of("gone", () => expect.unreachable())).toBe(gone);
    expect(set.snapshot()).toMatchObject({ gone: { state: "open" } });
  });

  test("does to it what is done to all: calls that began before go through it", () => {
    const { set, gone } = without();
    set.forceOpen();
    expect(gone.snapshot().state).toBe("forced-open");
    set.reset();
    expect(gone.snapshot().state).toBe("closed");
  });
});
