import { expect, test } from "vitest";
import { RetryThrottling } from "../../../src/policy/retry-throttling.ts";

function aThrottle(maxTokens = 10, tokenRatio = 0.1): RetryThrottling {
  return new RetryThrottling({ maxTokens, tokenRatio });
}

function fail(throttling: RetryThrottling, times: number): void {
  for (let n = 0; n < times; n += 1) throttling.failure();
}

function succeed(throttling: RetryThrottling, times: number): void {
  for (let n = 0; n < times; n += 1) throttling.success();
}

const tokens = (throttling: RetryThrottling) => throttling.snapshot().tokens;

test("starts with all of its tokens", () => {
  expect(aThrottle().snapshot()).toEqual({ tokens: 10, maxTokens: 10, open: true });
});

test("needs more than half of them: at five and a tenth of ten it is open, at five closed", () => {
  const throttling = aThrottle();
  fail(throttling, 5);
  expect([tokens(throttling), throttling.allows()]).toEqual([5, false]);
  succeed(throttling, 1);
  expect([tokens(throttling), throttling.allows()]).toEqual([5.1, true]);
  expect(throttling.snapshot().open).toBe(true);
});

test("has never less than none", () => {
  const throttling = aThrottle();
  fail(throttling, 1_000);
  expect(tokens(throttling)).toBe(0);
  succeed(throttling, 50);
  expect(throttling.allows()).toBe(false);
  succeed(throttling, 1);
  expect(throttling.allows()).toBe(true);
});

test("has never more than all", () => {
  const throttling = aThrottle(10, 3);
  fail(throttling, 1);
  succeed(throttling, 2);
  expect(tokens(throttling)).toBe(10);
});

test("counts tenths exactly, however many there are", () => {
  const throttling = aThrottle(1_000, 0.1);
  fail(throttling, 1_000);
  succeed(throttling, 3);
  expect(tokens(throttling)).toBe(0.3);
  succeed(throttling, 4_997);
  expect([tokens(throttling), throttling.allows()]).toEqual([500, false]);
  succeed(throttling, 1);
  expect([tokens(throttling), throttling.allows()]).toEqual([500.1, true]);
});

test.each([
  [0.5466, 0.546],
  [0.5469999, 0.546],
  [0.546, 0.546],
  [0.001, 0.001],
  [0.29, 0.29],
  [1.001, 1.001],
  [2.003, 2.003],
])("a ratio of %d gives %d back: the third decimal is the last that counts", (tokenRatio, gain) => {
  const throttling = aThrottle(10, tokenRatio);
  fail(throttling, 10);
  succeed(throttling, 1);
  expect(tokens(throttling)).toBe(gain);
});

test("one token is enough for nothing but a first failure", () => {
  const throttling = aThrottle(1, 1);
  expect(throttling.allows()).toBe(true);
  fail(throttling, 1);
  expect(throttling.allows()).toBe(false);
  succeed(throttling, 1);
  expect(throttling.allows()).toBe(true);
});

test("a snapshot changes nothing", () => {
  const throttling = aThrottle();
  fail(throttling, 3);
  expect(throttling.snapshot()).toEqual(throttling.snapshot());
});
