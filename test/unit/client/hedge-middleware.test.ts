import { expect, test } from "vitest";
import { type HedgeMiddlewareOptions, hedge } from "../../../src/client/middlewares/hedge-middleware.ts";

const anything = (options: unknown) => options as HedgeMiddlewareOptions;

test.each<[HedgeMiddlewareOptions, string]>([
  [{ maxAttempts: 1 }, "maxAttempts must be a whole number of at least 2, the first attempt included; it is 1"],
  [anything({ maxAttempts: "3" }), 'maxAttempts must be a number; it is "3"'],
  [{ delayMs: -1 }, "delayMs must not be negative; it is -1 ms"],
  [{ delayMs: Number.NaN }, "delayMs must not be negative; it is NaN ms"],
  [anything({ delayMs: "50" }), 'delayMs must be a number; it is "50"'],
  [anything({ nonFatalCodes: "UNAVAILABLE" }), 'nonFatalCodes must be an array of names; it is "UNAVAILABLE"'],
  [{ nonFatalCodes: ["OK"] }, "nonFatalCodes.0 OK is no failure"],
  [anything({ nonFatalCodes: ["UNAVAILABLE", "AVAILABLE"] }), 'nonFatalCodes.1 gRPC has no status "AVAILABLE"'],
  [{ maxAttemptsLimit: 0 }, "maxAttemptsLimit must be a whole number of at least 1; it is 0"],
  [{ retryThrottling: { maxTokens: 1_001 } }, "retryThrottling.maxTokens must be at most 1000 (gRFC A6); it is 1001"],
  [anything({ retryThrottling: 5 }), "retryThrottling must be an object; it is 5"],
  [{ retryBudget: { ratio: 2 } }, "retryBudget.ratio must be a ratio above 0 and at most 1; it is 2"],
  [anything({ retryBudget: { calls: 2 } }), "there is no option retryBudget.calls"],
  [anything({ observer: 5 }), "observer must be a function; it is 5"],
  [anything({ clock: 5 }), "clock must be an object; it is 5"],
  [anything(null), "the options must be an object; they are null"],
])("hedge refuses %j", (options, problem) => {
  expect(() => hedge(options)).toThrow(TypeError);
  expect(() => hedge(options)).toThrow(problem);
});

test("hedge tells all that is wrong at once", () => {
  const options = anything({
    maxAttempts: 0,
    delayMs: -1,
    retryThrottling: { tokenRatio: 0 },
    retryBudget: { ratio: 0 },
  });
  expect(() => hedge(options)).toThrow(
    new TypeError(
      [
        "hedge: maxAttempts must be a whole number of at least 2, the first attempt included; it is 0",
        "delayMs must not be negative; it is -1 ms",
        "retryThrottling.tokenRatio must be greater than zero; it is 0",
        "retryBudget.ratio must be a ratio above 0 and at most 1; it is 0",
      ].join("; "),
    ),
  );
});

test("hedge refuses what is no option", () => {
  expect(() => hedge(anything({ delay: 3 }))).toThrow(/^hedge: there is no option delay; there are .*delayMs/);
});

test.each<HedgeMiddlewareOptions>([
  {},
  { maxAttempts: 9, delayMs: 0, nonFatalCodes: [] },
  { retryThrottling: {}, retryBudget: { ratio: 1, windowMs: 1, minInFlight: 1 }, maxAttemptsLimit: 9 },
])("hedge takes %j", (options) => {
  expect(() => hedge(options)).not.toThrow();
});
