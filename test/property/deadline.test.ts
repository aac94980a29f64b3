import fc from "fast-check";
import { expect, test } from "vitest";
import { toGrpcTimeout } from "../../src/core/deadline.ts";
import { parseGrpcTimeout } from "../support/grpc-timeout.ts";

/** The longest that still fits after rounding up to whole seconds. */
const longest = 2_147_483_000;
const remaining = fc.oneof(
  fc.double({ min: 0, max: longest, noNaN: true }),
  fc.double({ min: 0, max: 10_000, noNaN: true }),
  fc.integer({ min: 99_999_990, max: 100_000_010 }),
);

test("a timeout on the wire has at most 8 digits, and is what remains rounded up to its unit", () => {
  fc.assert(
    fc.property(remaining, (remainingMs) => {
      const header = toGrpcTimeout(remainingMs) ?? "";
      expect(header).toMatch(/^\d{1,8}[HMSmun]$/);
      const read = parseGrpcTimeout(header) ?? Number.NaN;
      const unit = header.endsWith("m") ? 1 : 1_000;
      expect(read).toBeGreaterThanOrEqual(remainingMs);
      expect(read - Math.max(remainingMs, Number.MIN_VALUE)).toBeLessThanOrEqual(unit);
      // What grpc-js's server makes of it is a 32-bit number of milliseconds.
      expect(read | 0).toBe(read);
    }),
    { numRuns: 1_000 },
  );
});
