import { describe, expect, test } from "vitest";
import type { Method } from "../../../src/core/method.ts";
import { withoutStack } from "../../../src/core/without-stack.ts";
import { denied, unauthenticated } from "../../../src/server/authentication/refusal.ts";
import { rateLimited, shed } from "../../../src/server/limits/refusals.ts";
import { checkRequest } from "../../../src/server/validation/refusal.ts";

const framesOf = (error: unknown) =>
  String(Reflect.get(Object(error), "stack"))
    .split("\n    at ")
    .slice(1);

function thrown(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

describe("without a stack", () => {
  test("errors take no trace, and those that are made after it do", () => {
    expect(framesOf(withoutStack(() => new Error("inside")))).toEqual([]);
    expect(framesOf(new Error("after"))).not.toEqual([]);
  });

  test("what is thrown is thrown on, and the limit of traces is what it was", () => {
    const { stackTraceLimit } = Error;
    const error = thrown(() =>
      withoutStack(() => {
        throw new TypeError("inside");
      }),
    );
    expect(error).toEqual(new TypeError("inside"));
    expect(framesOf(error)).toEqual([]);
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
  });
});

const method = { path: "/shop.v1.Orders/Get" } as Method;
const limit = { name: "get", calls: 1, perMs: 1_000, burst: 1 };
const violation = { field: "name", description: "must not be empty", reason: "string.min_len" };

test.each<[string, () => unknown]>([
  ["a call over its rate", () => rateLimited(method.path, limit, 5)],
  ["a call that is shed", () => shed(method.path, "sheddable", "its event loop lags", () => 0)],
  ["a caller without credentials", () => unauthenticated(method)],
  ["a caller who lacks a scope", () => denied(method)],
  ["a request that breaks a constraint", () => thrown(() => checkRequest({}, () => [violation]))],
])("%s is refused without a trace, which would cost more than the decision", (_, refuse) => {
  const error = refuse();
  expect(error).toBeInstanceOf(Error);
  expect(framesOf(error)).toEqual([]);
});
