import { setImmediate } from "node:timers/promises";
import { Metadata } from "nice-grpc-common";
import { expect, test } from "vitest";
import { sharingLayers } from "../../../src/client/policy-layers/sharing-layers.ts";
import type { CachedAnswer } from "../../../src/core/call-options.ts";
import { Status } from "../../../src/core/status.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure, toldOf } from "../../support/retrying.ts";
import { aRead, ranOut, sharing } from "../../support/sharing.ts";

const TIMES = { ttlMs: 100, staleWhileRevalidateMs: 50, staleIfErrorMs: 200 };

/** A cache that knows an answer already. */
async function primed(cache = TIMES) {
  const under = sharing({ cache });
  const first = under.start({ request: { id: "a" } });
  under.attempt(1).reply({ lines: [1] }, { header: new Metadata({ h: "1" }) });
  await first;
  under.events.length = 0;
  const told: CachedAnswer[] = [];
  const ask = (options = {}) =>
    under.start({ request: { id: "a" }, options: { onCached: (answer) => told.push(answer), ...options } });
  return { ...under, told, ask };
}

test("a fresh answer is given without a call, to each a copy of its own, without metadata", async () => {
  const { ask, begin, attempts, clock, told, events } = await primed();
  await clock.advance(99);
  const first = (await ask()) as { lines: number[] };
  first.lines.push(2);
  expect(await ask()).toEqual({ lines: [1] });
  const { header, trailer } = await begin({ request: { id: "a" } });
  expect([[...header], [...trailer]]).toEqual([[], []]);
  expect(attempts.length).toBe(1);
  expect(told).toEqual(Array(2).fill({ ageMs: 99, stale: false }));
  expect(toldOf(events)).toEqual(Array(3).fill(["cache", "hit", { ageMs: 99 }]));
});

test("a stale one is given while a newer one is fetched, by one call at a time, of no caller's", async () => {
  const { ask, attempt, attempts, clock, told, events } = await primed();
  await clock.advance(100);
  const controller = new AbortController();
  expect(await ask({ signal: controller.signal })).toEqual({ lines: [1] });
  expect(await ask()).toEqual({ lines: [1] });
  expect(told).toEqual(Array(2).fill({ ageMs: 100, stale: true }));
  expect(attempts.length).toBe(2);
  const { id, signal, deadline } = attempt(2).call;
  expect([id === attempt(1).call.id, signal, deadline]).toEqual([false, undefined, 1_100]);
  attempt(2).reply({ lines: [2] });
  await setImmediate();
  expect(await ask()).toEqual({ lines: [2] });
  expect(events.map((event) => event.type === "policy" && event.action)).toEqual([
    "stale",
    "stale",
    "refreshed",
    "hit",
  ]);
});

test("of a newer one that cannot be had only the observer hears, and the next call tries again", async () => {
  const { ask, attempt, attempts, clock, events } = await primed();
  await clock.advance(120);
  await ask();
  attempt(2).fail(aFailure());
  await setImmediate();
  expect(await ask()).toEqual({ lines: [1] });
  expect(attempts.length).toBe(3);
  const failed = ["cache", "not-refreshed", { status: "UNAVAILABLE", reason: "STATUS" }];
  expect(toldOf(events)[1]).toEqual(failed);
});

test.each([
  ["UNAVAILABLE", aFailure()],
  ["DEADLINE_EXCEEDED", ranOut()],
  ["RESOURCE_EXHAUSTED", aFailure({ code: Status.RESOURCE_EXHAUSTED })],
  ["an open breaker", aFailure({ reason: "BREAKER_OPEN", attempts: 0 })],
])("%s: a stale answer stands in, and says so", async (_, error) => {
  const { ask, attempt, clock, told } = await primed();
  await clock.advance(299);
  const call = ask();
  attempt(2).fail(error);
  expect(await call).toEqual({ lines: [1] });
  expect(told).toEqual([{ ageMs: 299, stale: true, error }]);
});

test.each([
  ["NOT_FOUND", aFailure({ code: Status.NOT_FOUND }), 200, {}],
  ["INTERNAL", aFailure({ code: Status.INTERNAL }), 200, {}],
  ["a program's mistake", new TypeError("no such property"), 200, {}],
  ["a client that is closed", aFailure({ reason: "CLIENT_CLOSED" }), 200, {}],
  ["an answer that is too old", aFailure(), 300, {}],
  ["a call that asks the server itself", aFailure(), 10, { cache: false }],
])("%s: the error is told as it is", async (_, error, afterMs, options) => {
  const { ask, attempt, clock, told } = await primed();
  await clock.advance(afterMs);
  const call = ask(options);
  attempt(2).fail(error);
  expect(await rejection(call)).toBe(error);
  expect(told).toEqual([]);
});

test("a caller that leaves is given nothing, and one that has left already is not answered", async () => {
  const { start, attempt, clock } = await primed();
  const controller = new AbortController();
  await clock.advance(200);
  const call = start({ request: { id: "a" }, signal: controller.signal });
  controller.abort(aFailure());
  expect(await rejection(call)).toBe(controller.signal.reason);
  start({ request: { id: "a" }, signal: AbortSignal.abort() });
  expect(attempt(3).call.signal?.aborted).toBe(true);
});

test("errors are not kept", async () => {
  const { start, attempt, attempts } = sharing({ cache: TIMES });
  const call = start();
  attempt(1).fail(aFailure());
  await rejection(call);
  start();
  expect(attempts.length).toBe(2);
});

test("a call that asks the server itself gives others the newer answer", async () => {
  const { ask, attempt } = await primed();
  const call = ask({ cache: false });
  attempt(2).reply({ lines: [3] });
  expect(await call).toEqual({ lines: [3] });
  expect(await ask()).toEqual({ lines: [3] });
});

test("never across partitions and metadata", async () => {
  const { start, attempts, clock } = await primed();
  await clock.advance(1);
  start({ request: { id: "a" }, options: { partition: "b" } });
  start({ request: { id: "a" }, metadata: new Metadata({ authorization: "b" }) });
  expect(attempts.length).toBe(3);
});

test("what an application does to its request meanwhile is kept for nobody else", async () => {
  const { start, attempt } = sharing({ cache: TIMES });
  const request = { id: "a" };
  start({ request });
  request.id = "b";
  expect(attempt(1).call.request).toEqual({ id: "a" });
});

test("an answer that cannot be encoded again is given, and not kept", async () => {
  const { start, attempt, attempts } = sharing({ cache: TIMES });
  const call = start();
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  attempt(1).reply(1n);
  expect(await call).toBe(1n);
  expect((await warned).message).toContain("an answer could not be kept");
  start();
  expect(attempts.length).toBe(2);
});

test("a client that is closed answers nothing any more", async () => {
  const { start, state, attempts } = await primed();
  state.close();
  start({ request: { id: "a" } });
  expect(attempts.length).toBe(2);
});

test("above coalescing, those who find nothing share one call", async () => {
  const { start, attempt, attempts } = sharing({ cache: TIMES, coalesce: {} });
  const calls = [start(), start()];
  attempt(1).reply("order");
  expect([...(await Promise.all(calls)), await start()]).toEqual(["order", "order", "order"]);
  expect(attempts.length).toBe(1);
});

test("a method that may have side effects shares nothing, whatever is said", () => {
  const { state } = sharing({});
  const policy = { cache: TIMES, coalesce: {} };
  const options = { timeoutMs: 1_000 };
  expect(sharingLayers(policy, { ...aRead, idempotency: "IDEMPOTENT" }, state, options)).toEqual({});
  expect(sharingLayers(policy, { ...aRead, kind: "client-stream" }, state, options)).toEqual({});
});
