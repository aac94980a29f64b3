import { expect, expectTypeOf, onTestFinished, test, vi } from "vitest";
import { settleAll } from "../../../src/client/settle-all.ts";
import type { SettleCallOptions, Settled } from "../../../src/client/settling.ts";
import type { RpcError } from "../../../src/core/errors.ts";
import { Status } from "../../../src/core/status.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { listenersOf } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure } from "../../support/retrying.ts";

/** Calls that a test ends; they do as their signal says, or nothing. */
function scripted({ deaf = false } = {}) {
  const begun: string[] = [];
  const given = new Map<string, SettleCallOptions>();
  const ends = new Map<string, PromiseWithResolvers<string>>();
  const task = (key: string) => (options: SettleCallOptions) => {
    begun.push(key);
    given.set(key, options);
    const pending = Promise.withResolvers<string>();
    ends.set(key, pending);
    if (!deaf) options.signal.addEventListener("abort", () => pending.reject(options.signal.reason));
    return pending.promise;
  };
  return {
    ...{ begun, given, tasks: { a: task("a"), b: task("b"), c: task("c"), d: task("d") } },
    reply: (key: string) => ends.get(key)?.resolve(`answer ${key}`),
    fail: (key: string, error: unknown) => ends.get(key)?.reject(error),
  };
}

const errorOf = (settled: Settled<unknown>) => (settled.ok ? undefined : settled.error);
const reasonOf = (settled: Settled<unknown>) => errorOf(settled)?.reason;

test("tells of each what became of it, in the order of the keys", async () => {
  const clock = fakeClock();
  const { tasks, reply, fail } = scripted();
  const outcome = settleAll(tasks, { clock });
  const failure = aFailure({ code: Status.NOT_FOUND });
  for (const key of ["d", "b", "a"]) reply(key);
  fail("c", failure);
  const settled = await outcome;
  expect(Object.entries(settled)).toEqual([
    ["a", { ok: true, value: "answer a" }],
    ["b", { ok: true, value: "answer b" }],
    ["c", { ok: false, error: failure }],
    ["d", { ok: true, value: "answer d" }],
  ]);
  expect(errorOf(settled.c)).toBe(failure);
  expect(clock.pending).toBe(0);
});

test("nothing to do is done", async () => {
  const clock = fakeClock();
  expect(await settleAll({}, { timeoutMs: 10, clock })).toEqual({});
  expect(clock.pending).toBe(0);
});

test("a key may have any name, and a value may be there at once", async () => {
  const settled = await settleAll({ ["__proto__"]: () => 1, toString: () => undefined });
  expect(Object.entries(settled)).toEqual([
    ["__proto__", { ok: true, value: 1 }],
    ["toString", { ok: true, value: undefined }],
  ]);
});

test("whatever is thrown, at once or later, is an RpcError", async () => {
  const mistake = new TypeError("no such property");
  const settled = await settleAll({
    thrown: () => {
      throw mistake;
    },
    rejected: () => Promise.reject("a text"),
  });
  expect(errorOf(settled.thrown)).toMatchObject({ reason: "UNEXPECTED", cause: mistake });
  expect(errorOf(settled.rejected)).toMatchObject({ reason: "UNEXPECTED", cause: "a text" });
});

test("no more are under way than may be, begun in the order of the keys", async () => {
  const clock = fakeClock();
  const { tasks, begun, reply, fail } = scripted();
  const outcome = settleAll(tasks, { maxConcurrent: 2, clock });
  expect(begun).toEqual(["a", "b"]);
  fail("b", aFailure());
  await clock.advance(0);
  expect(begun).toEqual(["a", "b", "c"]);
  reply("a");
  await clock.advance(0);
  expect(begun).toEqual(["a", "b", "c", "d"]);
  reply("d");
  reply("c");
  expect(Object.values(await outcome).map(({ ok }) => ok)).toEqual([true, false, true, true]);
});

test("each is told what is left of the time of all", async () => {
  const clock = fakeClock();
  const { tasks, given, reply } = scripted();
  void settleAll(tasks, { maxConcurrent: 1, timeoutMs: 100, clock });
  await clock.advance(30);
  reply("a");
  await clock.advance(0);
  expect([given.get("a")?.timeoutMs, given.get("b")?.timeoutMs]).toEqual([100, 70]);
});

test("without a time limit none is passed on", async () => {
  const { tasks, given } = scripted();
  void settleAll(tasks);
  expect(given.get("a")).toEqual({ signal: expect.any(AbortSignal) });
});

test.each([{ deaf: false }, { deaf: true }])("when the time is over, all is: %o", async (how) => {
  const clock = fakeClock();
  const { tasks, begun, given, reply } = scripted(how);
  const outcome = settleAll(tasks, { maxConcurrent: 2, timeoutMs: 100, clock });
  reply("a");
  await clock.advance(99);
  expect(given.get("b")?.signal.aborted).toBe(false);
  await clock.advance(1);
  const settled = await outcome;
  expect(Object.values(settled).map(reasonOf)).toEqual([
    ...[undefined, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"],
    "DEADLINE_BEFORE_SEND",
  ]);
  expect(errorOf(settled.d)).toMatchObject({
    ...{ attempts: 0, sent: false, code: Status.DEADLINE_EXCEEDED },
    details: 'the 100 ms of settleAll are over, and "d" has not begun',
  });
  expect(begun).toEqual(["a", "b", "c"]);
  expect(clock.pending).toBe(0);
});

test("when the time is over and its timer late, nothing begins any more", async () => {
  const clock = fakeClock();
  const { tasks, begun, reply } = scripted();
  const late = {
    now: () => clock.now(),
    wallTime: () => clock.wallTime(),
    setTimer: (delayMs: number, fire: () => void) => clock.setTimer(delayMs + 10, fire),
  };
  const outcome = settleAll(tasks, { timeoutMs: 100, maxConcurrent: 1, clock: late });
  await clock.advance(100);
  reply("a");
  await clock.advance(10);
  expect(Object.values(await outcome).map(reasonOf)).toEqual([undefined, ...Array(3).fill("DEADLINE_BEFORE_SEND")]);
  expect(begun).toEqual(["a"]);
});

test.each([{ deaf: false }, { deaf: true }])("a failure cancels its siblings on demand: %o", async (how) => {
  const clock = fakeClock();
  const { tasks, begun, fail } = scripted(how);
  const outcome = settleAll(tasks, { maxConcurrent: 3, cancelOnError: true, clock });
  const failure = aFailure();
  await clock.advance(0);
  fail("b", failure);
  await clock.advance(0);
  const settled = await outcome;
  expect(errorOf(settled.a)).toMatchObject({ reason: "CANCELLED" });
  expect(errorOf(settled.b)).toBe(failure);
  expect(errorOf(settled.c)).toMatchObject({
    ...{ reason: "CANCELLED", code: Status.CANCELLED, cause: failure },
    details: 'cancelled, since "b" failed',
  });
  expect(errorOf(settled.d)).toMatchObject({
    ...{ reason: "CANCELLED", attempts: 0, sent: false, cause: failure },
    details: 'cancelled, since "b" failed; "d" has not begun',
  });
  expect(begun).toEqual(["a", "b", "c"]);
  expect(clock.pending).toBe(0);
});

test("two that fail in one turn each keep their own error", async () => {
  const clock = fakeClock();
  const { tasks, fail } = scripted({ deaf: true });
  const outcome = settleAll(tasks, { cancelOnError: true, clock });
  const [first, second] = [aFailure({ details: "first" }), aFailure({ details: "second" })];
  await clock.advance(0);
  fail("c", first);
  fail("a", second);
  await clock.advance(0);
  const settled = await outcome;
  expect([errorOf(settled.c), errorOf(settled.a)]).toEqual([first, second]);
  expect(errorOf(settled.b)).toMatchObject({ cause: first });
});

test("a function says which failures cancel", async () => {
  const clock = fakeClock();
  const { tasks, fail, reply } = scripted();
  const asked: [string, string][] = [];
  const cancelOnError = (error: RpcError, key: string) => {
    asked.push([key, error.reason]);
    return key === "b";
  };
  const outcome = settleAll(tasks, { cancelOnError, clock });
  fail("a", aFailure());
  reply("d");
  await clock.advance(0);
  fail("b", new Error("broken"));
  await clock.advance(0);
  expect(Object.values(await outcome).map(reasonOf)).toEqual(["STATUS", "UNEXPECTED", "CANCELLED", undefined]);
  expect(asked).toEqual([
    ["a", "STATUS"],
    ["b", "UNEXPECTED"],
  ]);
});

test("one that throws cancels nothing, and is warned of", async () => {
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => warned.mockRestore());
  const { tasks, fail, reply } = scripted();
  const outcome = settleAll(tasks, {
    cancelOnError: () => {
      throw new Error("mine");
    },
  });
  fail("a", aFailure());
  for (const key of ["b", "c", "d"]) reply(key);
  expect(Object.values(await outcome).map(({ ok }) => ok)).toEqual([false, true, true, true]);
  expect(warned.mock.calls[0]?.[0]).toMatch(/cancelOnError threw: Error: mine/);
});

test.each([{ deaf: false }, { deaf: true }])("rejects with the reason of its caller's signal: %o", async (how) => {
  const clock = fakeClock();
  const { tasks, begun, given } = scripted(how);
  const controller = new AbortController();
  const outcome = settleAll(tasks, { maxConcurrent: 2, timeoutMs: 100, signal: controller.signal, clock });
  controller.abort("gone");
  expect(await rejection(outcome)).toBe("gone");
  expect(given.get("a")?.signal.reason).toBe("gone");
  expect(begun).toEqual(["a", "b"]);
  expect([clock.pending, listenersOf(controller.signal)]).toEqual([0, 0]);
});

test("begins nothing for a caller that has left", async () => {
  const { tasks, begun } = scripted();
  expect(await rejection(settleAll(tasks, { signal: AbortSignal.abort("gone") }))).toBe("gone");
  expect(begun).toEqual([]);
});

test("leaves nothing on its caller's signal", async () => {
  const { signal } = new AbortController();
  await settleAll({ a: () => 1 }, { signal });
  expect(listenersOf(signal)).toBe(0);
});

test("all that is wrong is said at once", async () => {
  const wrong = { timeoutMs: 0, maxConcurrent: 1.5, signal: {}, cancelOnError: "yes", clock: 3, timeout: 5 };
  const message = await rejection(settleAll({ a: Promise.resolve(1) as never, b: () => 1 }, wrong as never));
  expect(String(message)).toBe(
    'TypeError: settleAll: "a" must be a function that makes the call, (options) => …; it is [object Promise]; ' +
      "timeoutMs must be greater than zero; it is 0; maxConcurrent must be a whole number of at least 1; it is 1.5; " +
      "signal must be an AbortSignal; it is [object Object]; " +
      'cancelOnError must be true, false or a function; it is "yes"; clock must be an object; it is 3; ' +
      "there is no option timeout; there are timeoutMs, maxConcurrent, signal, cancelOnError, clock",
  );
});

test.each([null, [() => 1], 3])("%o holds no calls", async (tasks) => {
  expect(await rejection(settleAll(tasks as never))).toMatchObject({
    message: expect.stringMatching(/^settleAll: the calls must be an object of functions; they are/),
  });
});

test("each value has its own type", async () => {
  const settled = await settleAll({ n: async () => 1, text: () => "t", nothing: () => Promise.resolve() });
  expectTypeOf(settled.n).toEqualTypeOf<Settled<number>>();
  expectTypeOf(settled.text).toEqualTypeOf<Settled<string>>();
  expectTypeOf(settled.nothing).toEqualTypeOf<Settled<void>>();
  // @ts-expect-error only what is ok has a value
  expect(settled.n.value).toBe(1);
  // @ts-expect-error there is no such key
  expect(settled.other).toBeUndefined();
  // @ts-expect-error a promise has begun
  const begun = settleAll({ n: Promise.resolve(1) });
  expect(await rejection(begun)).toBeInstanceOf(TypeError);
});
