import { expect, test } from "vitest";
import { resolveDrain } from "../../../src/server/drain-options.ts";

test("what is not said comes from the server's options, or from the defaults", () => {
  expect(resolveDrain({}, {})).toEqual({ timeoutMs: 30_000, delayMs: 0 });
  expect(resolveDrain({ timeoutMs: undefined } as never, { drainTimeoutMs: 7, drainDelayMs: 5 })).toEqual({
    ...{ timeoutMs: 7, delayMs: 5 },
  });
  expect(resolveDrain({ timeoutMs: 0, delayMs: 3e9 }, { drainTimeoutMs: 7, drainDelayMs: 5 })).toEqual({
    ...{ timeoutMs: 0, delayMs: 3e9 },
  });
  const timeoutMs = Number.POSITIVE_INFINITY;
  expect(resolveDrain({ timeoutMs }, {})).toEqual({ timeoutMs, delayMs: 0 });
});

test.each<[unknown, string]>([
  [null, "the options must be an object; they are null"],
  ["SIGTERM", "the options must be an object; they are SIGTERM"],
  [30_000, "the options must be an object; they are 30000"],
  [{ timeoutMs: "30000" }, 'timeoutMs must be zero or greater; it is "30000"'],
  [{ timeoutMs: null }, "timeoutMs must be zero or greater; it is null"],
  [{ timeoutMs: [] }, "timeoutMs must be zero or greater; it is "],
  [{ timeoutMs: Number.NaN }, "timeoutMs must be zero or greater; it is NaN"],
  [{ delayMs: Number.POSITIVE_INFINITY }, "delayMs must be finite, zero or greater; it is Infinity"],
  [
    { timeoutMs: -1, delayMs: "5000", drainTimeoutMs: 5 },
    "timeoutMs must be zero or greater; it is -1; " +
      'delayMs must be finite, zero or greater; it is "5000"; ' +
      "there is no option drainTimeoutMs; there are timeoutMs, delayMs",
  ],
])("drain(%j) is refused, all at once", (options, problems) => {
  expect(() => resolveDrain(options as never, {})).toThrow(new TypeError(`drain: ${problems}`));
});
