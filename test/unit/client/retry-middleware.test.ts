import { expect, test } from "vitest";
import { type RetryMiddlewareOptions, retry } from "../../../src/client/middlewares/retry-middleware.ts";

const anything = (options: unknown) => options as RetryMiddlewareOptions;

test.each<[RetryMiddlewareOptions, string]>([
  [{ maxAttempts: 1 }, "maxAttempts must be a whole number of at least 2, the first attempt included; it is 1"],
  [anything({ maxAttempts: "3" }), 'maxAttempts must be a number; it is "3"'],
  [{ initialBackoffMs: 0 }, "initialBackoffMs must be greater than zero; it is 0 ms"],
  [anything({ initialBackoffMs: "50" }), 'initialBackoffMs must be a number; it is "50"'],
  [{ maxBackoffMs: Number.NaN }, "maxBackoffMs must be greater than zero; it is NaN ms"],
  [{ multiplier: -1 }, "multiplier must be greater than zero; it is -1"],
  [{ attemptTimeoutMs: 0 }, "attemptTimeoutMs must be greater than zero; it is 0 ms"],
  [anything({ jitter: "none" }), 'jitter must be full or equal or decorrelated or a6; it is "none"'],
  [anything({ codes: "UNAVAILABLE" }), 'codes must be an array of names; it is "UNAVAILABLE"'],
  [{ codes: ["OK"] }, "codes.0 OK is no failure"],
  [anything({ codes: ["UNAVAILABLE", "AVAILABLE"] }), 'codes.1 gRPC has no status "AVAILABLE"'],
  [{ maxAttemptsLimit: 0 }, "maxAttemptsLimit must be a whole number of at least 1; it is 0"],
  [{ retryThrottling: { maxTokens: 1_001 } }, "retryThrottling.maxTokens must be at most 1000 (gRFC A6); it is 1001"],
  [{ retryThrottling: { tokenRatio: 0 } }, "retryThrottling.tokenRatio must be greater than zero; it is 0"],
  [anything({ retryThrottling: 5 }), "retryThrottling must be an object; it is 5"],
  [
    anything({ retryThrottling: { tokens: 5 } }),
    "there is no option retryThrottling.tokens; there are maxTokens, tokenRatio",
  ],
  [{ retryBudget: { ratio: 2 } }, "retryBudget.ratio must be a ratio above 0 and at most 1; it is 2"],
  [{ retryBudget: { minInFlight: 0 } }, "retryBudget.minInFlight must be a whole number of at least 1; it is 0"],
  [anything({ retryBudget: { windowMs: "1" } }), 'retryBudget.windowMs must be a number; it is "1"'],
  [anything({ observer: 5 }), "observer must be a function; it is 5"],
  [anything({ clock: 5 }), "clock must be an object; it is 5"],
  [anything({ random: 5 }), "random must be a function; it is 5"],
  [anything(5), "the options must be an object; they are 5"],
  [anything(null), "the options must be an object; they are null"],
  [
    anything({ maxAttempts: 0, jitter: 1, retryBudget: { ratio: 0 }, observer: {} }),
    [
      "jitter must be full or equal or decorrelated or a6; it is 1",
      "observer must be a function; it is [object Object]",
      "maxAttempts must be a whole number of at least 2, the first attempt included; it is 0",
      "retryBudget.ratio must be a ratio above 0 and at most 1; it is 0",
    ].join("; "),
  ],
])("retry refuses %j", (options, problems) => {
  expect(() => retry(options)).toThrow(new TypeError(`retry: ${problems}`));
});

test("retry refuses what is no option", () => {
  expect(() => retry(anything({ attempts: 3 }))).toThrow(
    /^retry: there is no option attempts; there are .*maxAttempts/,
  );
});

test.each<RetryMiddlewareOptions>([
  {},
  { maxAttempts: 9, jitter: "a6", codes: [], initialBackoffMs: 0.1, multiplier: 0.5 },
  { retryThrottling: {}, retryBudget: { ratio: 1, windowMs: 1, minInFlight: 1 } },
])("retry takes %j", (options) => {
  expect(() => retry(options)).not.toThrow();
});
