import { describe, expect, test } from "vitest";
import { isNumber, optionProblems, wellTyped } from "../../../src/contract/option-problems.ts";
import type { Problem } from "../../../src/contract/value-checks.ts";
import { isFunction } from "../../../src/core/check-options.ts";

interface Sizes {
  readonly least?: number;
  readonly most?: number;
  readonly told?: () => void;
}

const CHECKS = { least: isNumber, most: isNumber, told: isFunction };

/** Says what is wrong with each by itself, that there is no most, and that they cross. */
function check({ least, most, ...others }: Partial<Sizes>): Problem[] {
  const at = (name: string, message: string) => ({ path: ["sizes", name], message });
  return [
    ...(least === undefined || least > 0 ? [] : [at("least", "must be greater than zero")]),
    ...(most === undefined || most > 0 ? [] : [at("most", "must be greater than zero")]),
    ...(most === undefined ? [{ path: ["sizes"], message: "the sizes have no most_of_all" }] : []),
    ...(least !== undefined && most !== undefined && least > most ? [at("least", "must not be greater")] : []),
    ...("told" in others && typeof others.told !== "function" ? [at("told", "was looked at")] : []),
  ];
}

const problemsOf = (options: object) => optionProblems(options as Sizes, CHECKS, check, "sizes.");

describe("what is wrong with options that are a policy", () => {
  test("is what the policy's own check says, in the names of options", () => {
    expect(problemsOf({ least: 3, most: 5 })).toEqual([]);
    expect(problemsOf({ least: 0 })).toEqual(["sizes.least must be greater than zero", "the sizes have no mostOfAll"]);
    expect(problemsOf({ least: 6, most: 5 })).toEqual(["sizes.least must not be greater"]);
  });

  test("is told together with what is of another kind, and with a name that there is not", () => {
    expect(problemsOf({ least: -1, most: "5", told: 1, lest: 2 })).toEqual([
      'sizes.most must be a number; it is "5"',
      "sizes.told must be a function; it is 1",
      "there is no option sizes.lest; there are least, most, told",
      "sizes.least must be greater than zero",
    ]);
  });

  test("is not that a number of another kind is missing, or crosses another one", () => {
    expect(problemsOf({ least: 3, most: "1" })).toEqual(['sizes.most must be a number; it is "1"']);
    expect(problemsOf({ least: "9", most: 5 })).toEqual(['sizes.least must be a number; it is "9"']);
    expect(problemsOf({ least: 10n, most: 5 })).toEqual(["sizes.least must be a number; it is 10"]);
  });

  test("is not what is left unsaid", () => {
    expect(problemsOf({ least: undefined, most: 5, told: undefined })).toEqual([]);
    expect(problemsOf({ most: undefined })).toEqual(["the sizes have no mostOfAll"]);
  });

  test("is that they are none", () => {
    expect(problemsOf(undefined as never)[0]).toBe("the options must be an object; they are undefined");
    expect(problemsOf(5 as never)[0]).toBe("the options must be an object; they are 5");
  });
});

test("those of the right kind are left", () => {
  expect(wellTyped<object>({ least: 1, most: "2", other: 3 }, CHECKS)).toEqual({ least: 1, other: 3 });
});
