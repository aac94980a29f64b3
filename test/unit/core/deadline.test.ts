import { describe, expect, test } from "vitest";
import { NO_DEADLINE, parseGrpcTimeout, toGrpcTimeout } from "../../../src/core/deadline.ts";

describe("toGrpcTimeout", () => {
  test.each([
    [1, "1m"],
    [300, "300m"],
    [0.001, "1m"],
    [299.2, "300m"],
    [0, "1m"],
    [-5, "1m"],
    [99_999_999, "99999999m"],
    [99_999_998.001, "99999999m"],
    [99_999_999.001, "100000S"],
    [100_000_001, "100001S"],
    [2_147_483_000, "2147483S"],
  ])("%d ms is %s", (remainingMs, header) => {
    expect(toGrpcTimeout(remainingMs)).toBe(header);
  });

  test.each([
    ["no deadline", NO_DEADLINE],
    ["more than a server reads without overflow", 2_147_483_648],
    ["what would be more after rounding up to seconds", 2_147_483_000.001],
    ["the limit itself, which rounds up to 2,147,484 s", 2_147_483_647],
    ["no number", Number.NaN],
  ])("leaves the header out for %s", (_, remainingMs) => {
    expect(toGrpcTimeout(remainingMs)).toBeUndefined();
  });
});

describe("parseGrpcTimeout", () => {
  test.each([
    ["2H", 7_200_000],
    ["3M", 180_000],
    ["4S", 4_000],
    ["5m", 5],
    ["6u", 0.006],
    ["0m", 0],
    ["99999999m", 99_999_999],
  ])("%s is %d ms", (header, milliseconds) => {
    expect(parseGrpcTimeout(header)).toBeCloseTo(milliseconds, 9);
  });

  test.each(["", "m", "5", "5s", "5 m", "-5m", "1.5S", "100000000m", "5m5m", "5m\n"])("%j is none", (header) => {
    expect(parseGrpcTimeout(header)).toBeUndefined();
  });
});
