import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate } from "node:timers/promises";
import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { hedgeLayer } from "../../../src/client/layers/hedge.ts";
import type { CallOptions } from "../../../src/core/call-options.ts";
import { RpcError } from "../../../src/core/errors.ts";
import { Status } from "../../../src/core/status.ts";
import { afterTimers } from "../../support/driven.ts";
import { hedging } from "../../support/hedging.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure, aPushback, NOTHING_LEFT, toldOf } from "../../support/retrying.ts";
import { aCall, aMethod, aReply, ScriptedStreams } from "../../support/scripted.ts";

const unavailable = { code: Status.UNAVAILABLE, reason: "STATUS", details: "down" };
const superseded = { code: Status.CANCELLED, reason: "CANCELLED", details: "another attempt ended the call" };
const anOpenBreaker = new RpcError({
  path: "/p",
  reason: "BREAKER_OPEN",
  details: "open",
  attempts: 0,
  retryAfterMs: 500,
});

describe("an answer before the delay", () => {
  test("is all there is: one attempt, and nothing is left", async () => {
    const { start, attempt, attempts, clock, left, share, events } = hedging();
    const outcome = start({ headers: { a: "b" } });
    await clock.advance(99);
    attempt(1).reply("order");
    expect(await outcome).toBe("order");
    await clock.advance(1_000);
    expect(attempts.map(({ call: { attempt, headers } }) => [attempt, headers])).toEqual([[1, { a: "b" }]]);
    expect(left()).toEqual(NOTHING_LEFT);
    expect(events).toEqual([]);
    expect(share.budget.snapshot()).toEqual({ calls: 1, extraAttempts: 0, inFlight: 0 });
  });

  test.each([
    ["no other attempt is allowed", { options: { retry: false } }],
    ["the call allows one", { options: { maxAttempts: 1 } }],
    ["none fits the deadline", { deadline: 100 }],
  ])("needs no timer where %s", async (_, changes) => {
    const { start, attempt, clock } = hedging();
    const outcome = start(changes);
    expect(clock.pending).toBe(0);
    attempt(1).reply("order");
    expect(await outcome).toBe("order");
  });
});

describe("attempts", () => {
  test("H1 are sent at 0, d, 2d, and not 1 ms before; each says how many there were before it", async () => {
    const { start, attempts, clock } = hedging({ maxAttempts: 3 });
    const sentAt: number[] = [];
    start({ headers: { a: "b" } });
    for (let now = 0; now < 400; now += 1) {
      while (sentAt.length < attempts.length) sentAt.push(clock.now());
      await clock.advance(1);
    }
    expect(sentAt).toEqual([0, 100, 200]);
    expect(attempts.map(({ call: { attempt, headers, startedAt } }) => [attempt, headers, startedAt])).toEqual([
      [1, { a: "b" }, 0],
      [2, { a: "b", "grpc-previous-rpc-attempts": "1" }, 100],
      [3, { a: "b", "grpc-previous-rpc-attempts": "2" }, 200],
    ]);
  });

  test("H1 are the same call but for that, each with a signal of its own", async () => {
    const { start, attempt, clock } = hedging();
    const carrier = {};
    start({ id: 7, deadline: 5_000, carrier });
    await clock.advance(100);
    const { signal: first, ...one } = attempt(1).call;
    const { signal: second, ...two } = attempt(2).call;
    expect({ ...two, attempt: 1, headers: undefined, startedAt: 0 }).toEqual(one);
    expect(two.carrier).toBe(carrier);
    expect(first).not.toBe(second);
  });

  test("H1 with a delay of 0 are sent in the same turn", () => {
    const { start, attempts, clock } = hedging({ delayMs: 0, maxAttempts: 3 });
    start();
    expect([attempts.length, clock.pending]).toEqual([3, 0]);
  });

  test("are sent in the context of the caller, though a timer has none", async () => {
    const seen: unknown[] = [];
    const storage = new AsyncLocalStorage();
    const { start, attempts, clock } = hedging();
    storage.run("the caller's", () => start());
    const { push } = attempts;
    attempts.push = (attempt) => {
      seen.push(storage.getStore());
      return push.call(attempts, attempt);
    };
    await clock.advance(100);
    expect(seen).toEqual(["the caller's"]);
  });

  test("are not sent where the timer comes after the deadline", async () => {
    const { start, attempts, clock, left } = hedging({
      clockOf: (clock) => ({ ...bound(clock), now: () => clock.now() * 2 }),
    });
    start({ deadline: 200 });
    await clock.advance(100);
    expect(attempts).toHaveLength(1);
    expect(left()).toEqual({ ...NOTHING_LEFT, listeners: 1 });
  });
});

const bound = (clock: Parameters<typeof afterTimers>[0]) => afterTimers(clock, () => {});

describe("H1 the first OK wins", () => {
  test.each([1, 2, 3])("attempt %d: the others are cancelled at once, and nothing is left", async (winner) => {
    const { start, attempt, attempts, clock, left, share, events } = hedging({ maxAttempts: 4 });
    const outcome = start();
    await clock.advance(200);
    expect(share.budget.snapshot().inFlight).toBe(2);
    attempt(winner).reply(`from ${winner}`);
    expect(await outcome).toBe(`from ${winner}`);
    const losers = [1, 2, 3].filter((number) => number !== winner);
    expect(attempts.map(({ cancelledWith }) => cancelledWith() !== undefined)).toEqual(
      [1, 2, 3].map((number) => number !== winner),
    );
    expect(left()).toEqual(NOTHING_LEFT);
    expect(toldOf(events)).toEqual([
      ["hedge", "sent", { attempt: 2, because: "delay", afterMs: 100 }],
      ["hedge", "sent", { attempt: 3, because: "delay", afterMs: 200 }],
      ...losers.map((number) => ["hedge", "cancelled", { attempt: number }]),
      ["hedge", "won", { attempt: winner, attempts: 3 }],
    ]);
    await clock.advance(1_000);
    expect(attempts).toHaveLength(3);
  });

  test("two that answer in one turn: the one that was first, and one success for the throttle", async () => {
    const { start, attempt, clock, share, left } = hedging();
    while (share.throttling.snapshot().tokens > 8) share.throttling.failure();
    const outcome = start();
    await clock.advance(100);
    attempt(2).reply("second");
    attempt(1).reply("first");
    expect(await outcome).toBe("second");
    await clock.advance(0);
    expect(share.throttling.snapshot().tokens).toBe(8.1);
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("an error that comes in the same turn after it goes nowhere", async () => {
    const { start, attempt, clock, share } = hedging();
    const outcome = start();
    await clock.advance(100);
    attempt(2).reply("order");
    attempt(1).fail(aFailure());
    expect(await outcome).toBe("order");
    await clock.advance(0);
    expect(share.throttling.snapshot().tokens).toBe(10);
  });

  test("an attempt that does not heed its signal holds nobody up, and its late answer goes nowhere", async () => {
    const { start, attempt, clock, left, share } = hedging({ heedless: true });
    while (share.throttling.snapshot().tokens > 8) share.throttling.failure();
    const outcome = start();
    await clock.advance(100);
    attempt(2).reply("order");
    expect(await outcome).toBe("order");
    expect(left()).toEqual(NOTHING_LEFT);
    attempt(1).reply("late");
    await clock.advance(1_000);
    expect(share.throttling.snapshot().tokens).toBe(8.1);
  });
});

describe("H2 failures", () => {
  test("of a status that is not fatal: the next at once, those after it a delay later", async () => {
    const { start, attempt, attempts, clock } = hedging({ maxAttempts: 3 });
    start();
    await clock.advance(30);
    attempt(1).fail(aFailure());
    await clock.advance(0);
    expect(attempts).toHaveLength(2);
    await clock.advance(99);
    expect(attempts).toHaveLength(2);
    await clock.advance(1);
    expect(attempts).toHaveLength(3);
  });

  test("of any other status ends the call, and cancels what is under way", async () => {
    const { start, attempt, clock, left, events } = hedging({ maxAttempts: 4 });
    const outcome = start();
    await clock.advance(200);
    attempt(2).fail(aFailure({ code: Status.NOT_FOUND, details: "no such order" }));
    expect(await rejection(outcome)).toMatchObject({
      ...{ code: Status.NOT_FOUND, reason: "STATUS", details: "no such order", retryStop: "NOT_RETRYABLE" },
      attempts: 3,
      failures: [
        { attempt: 1, ...superseded },
        { attempt: 2, code: Status.NOT_FOUND },
        { attempt: 3, ...superseded },
      ],
    });
    expect([attempt(1), attempt(3)].map(({ cancelledWith }) => cancelledWith())).toMatchObject([
      superseded,
      superseded,
    ]);
    expect(left()).toEqual(NOTHING_LEFT);
    expect(toldOf(events).slice(2)).toEqual([
      ["hedge", "cancelled", { attempt: 1 }],
      ["hedge", "cancelled", { attempt: 3 }],
    ]);
  });

  test("of all attempts: the call ends with the last one, and says what each ended with", async () => {
    const { start, attempt, clock, left, events } = hedging({ maxAttempts: 3 });
    const outcome = start();
    await clock.advance(200);
    for (const number of [2, 3, 1]) {
      attempt(number).fail(aFailure({ details: `down ${number}` }));
      await clock.advance(0);
    }
    expect(await rejection(outcome)).toMatchObject({
      ...{ ...unavailable, details: "down 1", attempts: 3, retryStop: "MAX_ATTEMPTS", origin: "wire" },
      message: "/test.Service/unary UNAVAILABLE: down 1 (after 3 attempts)",
      failures: [1, 2, 3].map((number) => ({ attempt: number, ...unavailable, details: `down ${number}` })),
    });
    expect(left()).toEqual(NOTHING_LEFT);
    expect(toldOf(events).at(-1)).toEqual([
      "hedge",
      "denied",
      { because: "MAX_ATTEMPTS", attempts: 3, status: "UNAVAILABLE" },
    ]);
  });

  test("two in the same turn: an attempt for each", async () => {
    const { start, attempt, attempts, clock } = hedging({ maxAttempts: 4 });
    start();
    await clock.advance(100);
    attempt(1).fail(aFailure());
    attempt(2).fail(aFailure());
    await clock.advance(0);
    expect(attempts).toHaveLength(4);
  });

  test("a fatal one and an answer in the same turn: whichever was first", async () => {
    const { start, attempt, clock } = hedging();
    const outcome = start();
    await clock.advance(100);
    attempt(1).fail(aFailure({ code: Status.NOT_FOUND }));
    attempt(2).reply("order");
    expect(await rejection(outcome)).toMatchObject({ code: Status.NOT_FOUND });
  });

  test("after headers end the call", async () => {
    const { start, attempt } = hedging();
    const outcome = start();
    attempt(1).fail(aFailure({ headersReceived: true }));
    expect(await rejection(outcome)).toMatchObject({ ...unavailable, retryStop: "COMMITTED", attempts: 1 });
  });

  test("a mistake of the program is told as it is, and cancels what is under way", async () => {
    const { start, attempt, clock, left } = hedging();
    const outcome = start();
    await clock.advance(100);
    const mistake = new TypeError("a mistake");
    attempt(2).fail(mistake);
    expect(await rejection(outcome)).toBe(mistake);
    expect(attempt(1).cancelledWith()).toBe(mistake);
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("what the next handler throws at once is a failure like any other", async () => {
    const { share, clock } = hedging();
    const context = { options: { maxAttempts: 2, delayMs: 0, nonFatalCodes: new Set([Status.UNAVAILABLE]) } };
    const layer = hedgeLayer({ ...context, share, clock, report: undefined, closed: undefined });
    const throwing = () => {
      throw aFailure();
    };
    const outcome = layer.unary(throwing, aMethod())(aCall());
    expect(await rejection(outcome)).toMatchObject({ ...unavailable, attempts: 2, retryStop: "MAX_ATTEMPTS" });
  });

  test.each<[string, CallOptions]>([
    ["{ retry: false }", { retry: false }],
    ["{ maxAttempts: 1 }", { maxAttempts: 1 }],
  ])("with %s there is one attempt", async (_, options) => {
    const { start, attempt, attempts, clock } = hedging();
    const outcome = start({ options });
    await clock.advance(1_000);
    attempt(1).fail(aFailure());
    expect(await rejection(outcome)).toMatchObject({ attempts: 1, retryStop: "MAX_ATTEMPTS" });
    expect(attempts).toHaveLength(1);
  });
});

describe("H3 pushback", () => {
  test("of 310: the next in 310 ms, later ones a delay after it", async () => {
    const { start, attempt, attempts, clock, events } = hedging({ maxAttempts: 3 });
    start();
    attempt(1).fail(aPushback("310"));
    await clock.advance(309);
    expect(attempts).toHaveLength(1);
    await clock.advance(1);
    expect(attempts).toHaveLength(2);
    await clock.advance(99);
    expect(attempts).toHaveLength(2);
    await clock.advance(1);
    expect(attempts).toHaveLength(3);
    expect(toldOf(events)[0]).toEqual(["hedge", "sent", { attempt: 2, because: "pushback", afterMs: 310 }]);
  });

  test.each([[["-1"]], [["soon"]], [["1", "2"]]])("%j: no further hedges, and the one under way wins", async (said) => {
    const { start, attempt, attempts, clock, left, events } = hedging({ maxAttempts: 4 });
    const outcome = start();
    await clock.advance(100);
    attempt(2).fail(aPushback(...said));
    await clock.advance(1_000);
    expect(attempts).toHaveLength(2);
    attempt(1).reply("order");
    expect(await outcome).toBe("order");
    expect(left()).toEqual(NOTHING_LEFT);
    expect(toldOf(events)[1]).toEqual(["hedge", "denied", { because: "PUSHBACK", attempts: 2, status: "UNAVAILABLE" }]);
  });

  test("-1 with nothing under way: the failure", async () => {
    const { start, attempt, left } = hedging();
    const outcome = start();
    attempt(1).fail(aPushback("-1"));
    expect(await rejection(outcome)).toMatchObject({ ...unavailable, attempts: 1, retryStop: "PUSHBACK" });
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("that does not fit the deadline: the failure, at once, and when to come again", async () => {
    const { start, attempt, clock } = hedging();
    const outcome = start({ deadline: 300 });
    attempt(1).fail(aPushback("300"));
    expect(await rejection(outcome)).toMatchObject({
      ...{ reason: "DEADLINE_BEFORE_RETRY", retryStop: "DEADLINE", retryAfterMs: 300 },
    });
    expect(clock.now()).toBe(0);
  });
});

describe("H4 what is lacking", () => {
  test("tokens: the first attempt goes on, and may be answered", async () => {
    const { start, attempt, attempts, clock, share, events, left } = hedging();
    while (share.throttling.allows()) share.throttling.failure();
    const outcome = start();
    await clock.advance(1_000);
    expect(attempts).toHaveLength(1);
    attempt(1).reply("order");
    expect(await outcome).toBe("order");
    expect(toldOf(events)).toEqual([["hedge", "denied", { because: "THROTTLED", attempts: 1 }]]);
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test.each([
    ["tokens", "THROTTLED", "RETRY_THROTTLED"],
    ["budget", "BUDGET", "RETRY_BUDGET_EXHAUSTED"],
  ])(
    "%s, after the failure of all that was sent: the failure, and why there is no other",
    async (what, stop, reason) => {
      const { start, attempt, share, left } = hedging({ retryBudget: { ratio: 0.001, minInFlight: 1 } });
      if (what === "tokens") while (share.throttling.allows()) share.throttling.failure();
      const taken = share.budget.tryAcquire();
      const outcome = start();
      attempt(1).fail(aFailure());
      expect(await rejection(outcome)).toMatchObject({
        ...{ ...unavailable, reason, origin: "local", retryStop: stop, attempts: 1 },
        failures: [{ attempt: 1, ...unavailable }],
      });
      taken?.release();
      expect(left()).toEqual(NOTHING_LEFT);
    },
  );

  test("the breaker's leave for a hedge: the first attempt goes on", async () => {
    const { start, attempt, attempts, clock, left, events } = hedging({ maxAttempts: 4 });
    const outcome = start();
    await clock.advance(100);
    attempt(2).fail(anOpenBreaker);
    await clock.advance(1_000);
    expect(attempts).toHaveLength(2);
    attempt(1).reply("order");
    expect(await outcome).toBe("order");
    expect(left()).toEqual(NOTHING_LEFT);
    expect(toldOf(events)[1]).toEqual(["hedge", "denied", { because: "REJECTED", attempts: 2, status: "UNAVAILABLE" }]);
  });

  test.each<[string, (set: ReturnType<typeof hedging>) => Promise<void>]>([
    [
      "the hedge's, and then the first fails",
      async ({ attempt, clock }) => {
        attempt(2).fail(anOpenBreaker);
        await clock.advance(0);
        attempt(1).fail(aFailure());
      },
    ],
    [
      "the hedge's, after the first has failed",
      async ({ attempt, clock }) => {
        attempt(1).fail(aFailure());
        await clock.advance(0);
        attempt(2).fail(anOpenBreaker);
      },
    ],
  ])("the breaker's leave, %s: the failure, and that the breaker is open", async (_, fail) => {
    const set = hedging();
    const outcome = set.start();
    await set.clock.advance(100);
    await fail(set);
    expect(await rejection(outcome)).toMatchObject({
      ...{ ...unavailable, reason: "BREAKER_OPEN", attempts: 1, retryStop: "REJECTED", retryAfterMs: 500 },
      failures: [{ attempt: 1, ...unavailable }],
    });
    expect(set.left()).toEqual(NOTHING_LEFT);
  });

  test("the breaker's leave for the first: what the breaker said, and no attempt", async () => {
    const { start, attempt, attempts, clock, events } = hedging();
    const outcome = start();
    attempt(1).fail(anOpenBreaker);
    expect(await rejection(outcome)).toMatchObject({ reason: "BREAKER_OPEN", attempts: 0, failures: [] });
    await clock.advance(1_000);
    expect([attempts.length, events]).toEqual([1, []]);
  });
});

describe("whoever waits no longer", () => {
  test("has all attempts cancelled with its own reason, and none sent after that", async () => {
    const { start, attempts, clock, controller, left } = hedging({ maxAttempts: 4 });
    const outcome = start();
    await clock.advance(100);
    controller.abort("gone");
    expect(await rejection(outcome)).toBe("gone");
    expect(attempts.map(({ cancelledWith }) => cancelledWith())).toEqual(["gone", "gone"]);
    await clock.advance(1_000);
    expect(attempts).toHaveLength(2);
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("is let go of though an attempt does not heed its signal", async () => {
    const { start, controller, left } = hedging({ heedless: true });
    const outcome = start();
    controller.abort("gone");
    expect(await rejection(outcome)).toBe("gone");
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("before it was sent: nothing is", async () => {
    const { start, attempts, controller, share } = hedging();
    controller.abort("gone");
    expect(await rejection(start())).toBe("gone");
    expect([attempts.length, share.budget.snapshot().calls]).toEqual([0, 0]);
  });

  test("while nothing but a pushback is waited for: at once", async () => {
    const { start, attempt, attempts, clock, controller, left } = hedging();
    const outcome = start();
    attempt(1).fail(aPushback("5000"));
    await clock.advance(10);
    expect(left()).toEqual({ timers: 1, listeners: 2, permits: 0 });
    controller.abort("gone");
    expect(await rejection(outcome)).toBe("gone");
    expect(left()).toEqual(NOTHING_LEFT);
    await clock.advance(10_000);
    expect(attempts).toHaveLength(1);
  });

  test("in the same turn as a hedge is due: none is sent", async () => {
    const controllers: AbortController[] = [];
    const { start, attempts, clock, controller } = hedging({
      clockOf: (clock) => afterTimers(clock, () => controllers[0]?.abort("gone")),
    });
    controllers.push(controller);
    const outcome = start();
    await clock.advance(100);
    expect(await rejection(outcome)).toBe("gone");
    expect(attempts).toHaveLength(1);
  });

  test("in the same turn as an answer comes: its reason", async () => {
    const { start, attempt, controller } = hedging();
    const outcome = start();
    attempt(1).reply("order");
    controller.abort("gone");
    expect(await rejection(outcome)).toBe("gone");
  });
});

describe("a client that is closed", () => {
  const closed = aFailure({ reason: "CLIENT_CLOSED", details: "the client is closed" });

  test("in the middle of attempts ends each, and so the call", async () => {
    const { start, attempt, attempts, clock, closing, left } = hedging({ maxAttempts: 4 });
    const outcome = start();
    await clock.advance(100);
    attempt(1).fail(closed);
    attempt(2).fail(closed);
    closing.abort();
    expect(await rejection(outcome)).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 2, retryStop: "REJECTED" });
    await clock.advance(1_000);
    expect(attempts).toHaveLength(2);
    expect(left()).toEqual(NOTHING_LEFT);
  });

  test("while nothing but a pushback is waited for ends the wait: the attempt then says why", async () => {
    const { start, attempt, attempts, clock, closing, left } = hedging();
    const outcome = start();
    attempt(1).fail(aPushback("5000"));
    await clock.advance(10);
    closing.abort();
    expect(attempts).toHaveLength(2);
    attempt(2).fail(closed);
    expect(await rejection(outcome)).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 2 });
    expect([clock.now(), left()]).toEqual([10, NOTHING_LEFT]);
  });

  test("before the pushback: nothing is waited for", async () => {
    const { start, attempt, attempts, closing } = hedging();
    start();
    closing.abort();
    attempt(1).fail(aPushback("5000"));
    await setImmediate();
    expect(attempts).toHaveLength(2);
  });
});

describe("what a call is answered with", () => {
  test("has the winner's metadata", async () => {
    const { share, clock } = hedging();
    const header = new Metadata({ from: "the winner" });
    const options = { maxAttempts: 2, delayMs: 0, nonFatalCodes: new Set<never>() };
    const layer = hedgeLayer({ options, share, clock, report: undefined, closed: undefined });
    const handler = layer.unary(
      ({ attempt }) => (attempt === 2 ? Promise.resolve(aReply("order", header)) : new Promise(() => {})),
      aMethod(),
    );
    expect((await handler(aCall())).header).toBe(header);
  });
});

test("streams pass untouched: one that is quiet is not slow", () => {
  const { share, clock } = hedging();
  const options = { maxAttempts: 2, delayMs: 0, nonFatalCodes: new Set<never>() };
  const { handler } = new ScriptedStreams();
  const layer = hedgeLayer({ options, share, clock, report: undefined, closed: undefined });
  expect(layer.stream(handler, aMethod("server-stream"))).toBe(handler);
});
