import { Status as NiceStatus } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { parseStatusName, Status, type StatusName, statusName, toStatusCode } from "../../../src/core/status.ts";

const all = Object.entries(Status) as [StatusName, number][];

test("has gRPC's 17 statuses, with nice-grpc's numbers", () => {
  const theirs = Object.entries(NiceStatus).filter(([, code]) => typeof code === "number");
  expect(Object.fromEntries(all)).toEqual(Object.fromEntries(theirs));
  expect(all.map(([, code]) => code)).toEqual([...Array(17).keys()]);
});

describe("statusName and toStatusCode", () => {
  test.each(all)("%s is %i", (name, code) => {
    expect(statusName(code)).toBe(name);
    expect(toStatusCode(code)).toBe(code);
  });

  test.each([-1, 17, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    "%s, which gRPC does not define, is UNKNOWN",
    (code) => {
      expect(statusName(code)).toBe("UNKNOWN");
      expect(toStatusCode(code)).toBe(Status.UNKNOWN);
    },
  );
});

describe("parseStatusName", () => {
  test.each([
    ["UNAVAILABLE", "UNAVAILABLE"],
    ["unavailable", "UNAVAILABLE"],
    [" Not_Found ", "NOT_FOUND"],
    ["14", "UNAVAILABLE"],
    [14, "UNAVAILABLE"],
    [0, "OK"],
    ["00", "OK"],
  ])("reads %j as %s", (text, name) => {
    expect(parseStatusName(text)).toBe(name);
  });

  test.each(["", " ", "NOPE", "17", 17, -1, 1.5, "014", "1 4", "toString", "length", Number.NaN])(
    "knows no status %j",
    (text) => {
      expect(parseStatusName(text)).toBeUndefined();
    },
  );
});
