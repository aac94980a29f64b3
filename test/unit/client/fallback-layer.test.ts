import { describe, expect, test } from "vitest";
import { checkClientOptions, checkPipelineOptions } from "../../../src/client/client-options.ts";
import type { Fallback } from "../../../src/client/fallbacks.ts";
import { RpcError } from "../../../src/core/errors.ts";
import { Status } from "../../../src/core/status.ts";
import { rejection } from "../../support/orders.ts";
import { PatientOrders } from "../../support/patient-orders.ts";
import { aFailure, toldOf } from "../../support/retrying.ts";
import { ranOut, sharing } from "../../support/sharing.ts";

const falling = (fallback: Fallback, policy = {}) => sharing(policy, { timeoutMs: 1_000, fallback });

test.each([
  ["UNAVAILABLE", aFailure()],
  ["DEADLINE_EXCEEDED", ranOut()],
  ["RESOURCE_EXHAUSTED", aFailure({ reason: "BULKHEAD_FULL", code: Status.RESOURCE_EXHAUSTED, attempts: 0 })],
  ["an open breaker", aFailure({ reason: "BREAKER_OPEN", attempts: 0 })],
])("%s: the fallback answers, with request and error in hand", async (_, error) => {
  const given: unknown[] = [];
  const { begin, attempt, events } = falling((...args) => {
    given.push(...args);
    return { from: "fallback" };
  });
  const call = begin({ request: { id: "a" } });
  attempt(1).fail(error);
  const { message, header, trailer } = await call;
  expect([message, [...header], [...trailer]]).toEqual([{ from: "fallback" }, [], []]);
  expect(given).toEqual([{ id: "a" }, error]);
  const { reason } = error;
  expect(toldOf(events)).toMatchObject([["fallback", "answered", { reason }]]);
});

test.each([
  ["NOT_FOUND", aFailure({ code: Status.NOT_FOUND })],
  ["a program's mistake", new TypeError("no such property")],
  ["a client that is closed", aFailure({ reason: "CLIENT_CLOSED" })],
])("%s: the error is told as it is", async (_, error) => {
  const { start, attempt } = falling(() => expect.unreachable());
  const call = start();
  attempt(1).fail(error);
  expect(await rejection(call)).toBe(error);
});

test("a caller that leaves is answered by nothing", async () => {
  const { start } = falling(() => expect.unreachable());
  const controller = new AbortController();
  const call = start({ signal: controller.signal });
  controller.abort(aFailure());
  expect(await rejection(call)).toBe(controller.signal.reason);
});

test.each<[string, Fallback, unknown]>([
  [
    "throws",
    () => {
      throw new RangeError("nothing at hand");
    },
    { name: "RangeError", message: "nothing at hand" },
  ],
  [
    "returns a promise",
    async () => Promise.reject(new Error("later")),
    { message: "a fallback returns its answer at once; it returned [object Promise]" },
  ],
  ["returns nothing", () => undefined, { message: "a fallback returns its answer at once; it returned undefined" }],
])("one that %s: the call fails as it would have, and says why", async (_, fallback, cause) => {
  const { start, attempt, events } = falling(fallback);
  const call = start();
  attempt(1).fail(aFailure({ attempts: 3 }));
  const error = await rejection(call);
  expect(error).toBeInstanceOf(RpcError);
  expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "STATUS", attempts: 3, cause });
  expect(toldOf(events)).toMatchObject([["fallback", "failed", { status: "UNAVAILABLE" }]]);
});

test("what is kept comes before it, and what it answers is not kept", async () => {
  const { start, attempt, attempts, clock } = falling(() => ({ from: "fallback" }), {
    cache: { ttlMs: 10, staleIfErrorMs: 10 },
  });
  const calls = [start({ request: "a" })];
  attempt(1).reply({ from: "server" });
  await calls[0];
  await clock.advance(15);
  calls.push(start({ request: "a" }));
  attempt(2).fail(aFailure());
  expect(await calls[1]).toEqual({ from: "server" });
  await clock.advance(5);
  for (const number of [3, 4]) {
    const call = start({ request: "a" });
    attempt(number).fail(aFailure());
    expect(await call).toEqual({ from: "fallback" });
  }
  expect(attempts.length).toBe(4);
});

describe("a client is made with", () => {
  const wanted = { getOrder: 5, createOrder: () => {}, importOrders: () => {}, nope: () => {}, listOrders: undefined };
  const write = "only for a unary method with idempotency_level = NO_SIDE_EFFECTS can anything else answer";
  const problems = [
    "fallback.getOrder must be a function; it is 5",
    `fallback.createOrder: ${write}`,
    `fallback.importOrders: ${write}`,
    "fallback.nope: no such method; there are createOrder, getOrder, listOrders",
  ];

  test.each(problems)("no other fallbacks: %s", (problem) => {
    const options = { fallback: wanted, timeoutMs: 0 } as object;
    expect(() => checkClientOptions("localhost:1", options, PatientOrders)).toThrow(problem);
    expect(() => checkClientOptions("localhost:1", options, PatientOrders)).toThrow("timeoutMs must be greater");
    expect(checkPipelineOptions(options, PatientOrders).join("; ")).toContain(problem);
  });

  test("fallbacks that are an object", () => {
    expect(checkPipelineOptions({ fallback: 5 as never }, PatientOrders)).toEqual([
      "fallback must be an object; it is 5",
    ]);
    expect(checkPipelineOptions({ fallback: { getOrder: () => ({}) } as object }, PatientOrders)).toEqual([]);
  });

  test("a partition that is a text", () => {
    expect(checkPipelineOptions({ partition: 5 as never }, PatientOrders)).toEqual([
      "partition must be a text; it is 5",
    ]);
  });
});
