import { describe, expect, test } from "vitest";
import { OrderService } from "../../../../gen/shop/orders/v1/orders.contract.ts";
import { OrderServiceDefinition } from "../../../../gen/shop/orders/v1/orders.ts";
import { type HealthCheckOptions, resolveCheck } from "../../../../src/server/health/check-options.ts";
import { errorText } from "../../../../src/server/health/error-text.ts";
import { Health } from "../../../../src/server/health/health.ts";

const run = () => {};

test("a check says nothing but its name, and has the rest from its defaults", () => {
  expect(resolveCheck("database", run, {}, { taken: [] })).toEqual({
    ...{ name: "database", run, depth: "deep", timeoutMs: 1_000, intervalMs: 5_000, failureThreshold: 1 },
    ...{ services: undefined, onDemand: false },
  });
});

test("what is said is kept", () => {
  const options = { depth: "deep", timeoutMs: 5, intervalMs: 2 ** 31, failureThreshold: 2 } as const;
  expect(
    resolveCheck("db/main-1.a_b", run, { ...options, services: [OrderService] }, { taken: ["other"] }),
  ).toMatchObject({
    ...{ ...options, services: new Set(["shop.orders.v1.OrderService"]) },
  });
  expect(resolveCheck("order", run, { depth: "business" }, { taken: [] })).toMatchObject({
    depth: "business",
    onDemand: true,
  });
});

const badName = "the name must be of letters, digits, _, -, . and /, such as database";
const notContracts =
  "services must be an array of contracts, such as [OrderService]: each the service's value out of its .contract.ts";
test.each<[unknown, unknown, HealthCheckOptions, string]>([
  ["", run, {}, badName],
  ["a b", run, {}, badName],
  ["-a", run, {}, badName],
  ["a\n[+]b", run, {}, badName],
  [7, run, {}, badName],
  ["server", run, {}, "server is what the server itself is called"],
  ["taken", run, {}, "there is a check of that name already"],
  ["a", undefined, {}, "the check must be a function; it is undefined"],
  ["a", run, null as never, "the options must be an object; they are null"],
  ["a", run, { depth: "shallow" as never }, 'depth must be "deep" or "business"; it is "shallow"'],
  ["a", run, { timeoutMs: Number.POSITIVE_INFINITY }, "timeoutMs must be finite; it is Infinity"],
  ["a", run, { timeoutMs: Number.NaN }, "timeoutMs must be greater than zero; it is NaN"],
  ["a", run, { intervalMs: "5000" as never }, 'intervalMs must be a number; it is "5000"'],
  ...[[], OrderService, ["a.Service"], [null], [{ name: "a.Service" }], [OrderService, OrderServiceDefinition]].map(
    (services): [unknown, unknown, HealthCheckOptions, string] =>
      [...["a", run, { services: services as never }, notContracts]] as never,
  ),
  [
    "a",
    run,
    { depth: "business", services: [OrderService] },
    "services says nothing about a business check: no service depends on it",
  ],
  [
    "server",
    "run" as never,
    { timeoutMs: 0, intervalMs: -1, failureThreshold: 0.5, ttlMs: 5 } as never,
    "server is what the server itself is called; " +
      'the check must be a function; it is "run"; ' +
      "timeoutMs must be greater than zero; it is 0; " +
      "intervalMs must be greater than zero; it is -1; " +
      "failureThreshold must be a whole number of at least 1; it is 0.5; " +
      "there is no option ttlMs; there are depth, services, timeoutMs, intervalMs, failureThreshold",
  ],
])("%#: health.check(%s, …) is refused, all at once", (name, check, options, problems) => {
  const health = new Health();
  health.check("taken", run);
  const shown = typeof name === "string" ? JSON.stringify(name) : name;
  expect(() => health.check(name as never, check as never, options)).toThrow(
    new TypeError(`health.check(${shown}): ${problems}`),
  );
  expect(health.results().map((result) => result.name)).toEqual(["taken"]);
});

describe("an error's text", () => {
  const hostile = new Error("x");
  Object.defineProperty(hostile, "message", {
    get() {
      throw hostile;
    },
  });

  test.each<[string, unknown, string]>([
    ["its message", new Error("down"), "down"],
    ["in one line", new Error(" down\r\n[+]database ok\u2028\u001b[2J "), "down [+]database ok [2J"],
    [
      "its code, where it has no message",
      Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }),
      "ECONNREFUSED",
    ],
    ["its name, where it has no code either", new RangeError(), "RangeError"],
    ["what it is, where it is no error", 7, "7"],
    ["of nothing", "", "it says nothing"],
    ["of what has none", Object.create(null), "an error that has no text"],
    ["of one that throws", hostile, "an error that has no text"],
    ["of 500 characters whole", new Error("x".repeat(500)), "x".repeat(500)],
    ["of more cut off", new Error("x".repeat(501)), `${"x".repeat(500)}…`],
  ])("%s", (_, error, text) => {
    expect(errorText(error)).toBe(text);
  });
});
