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
    ["6000u", 6],
    ["99999999H", 359_999_996_400_000],
    ["0S", 0],
    ["00000001S", 1_000],
  ])("%s is %d ms", (header, timeoutMs) => {
    expect(parseGrpcTimeout(header)).toBeCloseTo(timeoutMs, 9);
  });

  test.each([
    "",
    "S",
    "5",
    "5s",
    "5 S",
    " 5S",
    "5S ",
    "5S\n",
    "-1S",
    "1.5S",
    "1e3S",
    "0x5S",
    "000000001S",
    "5SS",
    "soon",
  ])("%j is no timeout", (header) => {
    expect(parseGrpcTimeout(header)).toBeUndefined();
  });
});
