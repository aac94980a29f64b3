import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { RpcError } from "../../../src/core/errors.ts";
import { DONE } from "../../../src/core/message-stream.ts";
import { Status } from "../../../src/core/status.ts";
import { forms, listenersOf, newest, openStream } from "../../support/driven.ts";
import { isolating } from "../../support/isolating.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure, toldOf } from "../../support/retrying.ts";
import { aCall, aMethod } from "../../support/scripted.ts";

const ONE = { bulkhead: { maxConcurrent: 1 } };
const QUEUE = { bulkhead: { maxConcurrent: 1, maxQueued: 2 } };

describe.each(forms)("%s", (form, drive) => {
  test.each<[string, (driven: ReturnType<typeof drive>, controller: AbortController) => void]>([
    ["is answered", (driven) => driven.reply("order")],
    ["fails", (driven) => driven.fail(aFailure())],
    ["ends with a program's mistake", (driven) => driven.fail(new TypeError("no such property"))],
    [
      "is left",
      (driven, controller) => {
        controller.abort("gone");
        driven.abort("gone");
      },
    ],
  ])("a call that %s gives its permit back", async (_, end) => {
    const { layer } = isolating("bulkhead", ONE);
    const controller = new AbortController();
    const first = drive(layer, { signal: controller.signal });
    const rejected = drive(layer);
    expect(await rejection(rejected.outcome)).toMatchObject({ reason: "BULKHEAD_FULL" });
    end(first, controller);
    await first.outcome.catch(() => {});
    const next = drive(layer);
    expect(next.calls.length).toBe(1);
  });

  test("one that is one too many is rejected, and says so", async () => {
    const { layer, events } = isolating("bulkhead", ONE);
    drive(layer);
    const driven = drive(layer, { id: 7 });
    const error = await rejection(driven.outcome);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({
      ...{ code: Status.RESOURCE_EXHAUSTED, reason: "BULKHEAD_FULL", origin: "local", attempts: 0, sent: false },
      details: "1 calls are under way, as many as may: no attempt was sent",
      path: `/test.Service/${form}`,
    });
    expect(driven.calls).toEqual([]);
    expect(toldOf(events)).toEqual([["bulkhead", "rejected", { full: "bulkhead", underWay: 1, queued: 0 }]]);
  });

  test("what the next layer throws at once gives the permit back", async () => {
    const { layer } = isolating("bulkhead", ONE);
    const mistake = new TypeError("no such property");
    const broken = () => {
      throw mistake;
    };
    const [unary, stream] = [layer.unary(broken, aMethod()), layer.stream(broken, aMethod("server-stream"))];
    const thrown = { unary: async () => unary(aCall()), "server-stream": async () => stream(aCall()) }[form];
    for (let n = 0; n < 2; n += 1) expect(await rejection(thrown?.() ?? Promise.resolve())).toBe(mistake);
    expect(drive(layer).calls.length).toBe(1);
  });

  describe("in the queue", () => {
    test("waits for its turn, and begins then", async () => {
      const { layer, clock, events } = isolating("bulkhead", QUEUE);
      const first = drive(layer);
      const second = drive(layer);
      const third = drive(layer);
      await clock.advance(300);
      expect([first, second, third].map(({ calls }) => calls.length)).toEqual([1, 0, 0]);
      first.reply("first");
      await first.outcome;
      await setImmediate();
      expect([second, third].map(({ calls }) => calls.length)).toEqual([1, 0]);
      expect(second.calls[0]?.startedAt).toBe(300);
      second.reply("second");
      expect(await second.outcome).toBe("second");
      await setImmediate();
      third.reply("third");
      expect(await third.outcome).toBe("third");
      expect(clock.pending).toBe(0);
      expect(toldOf(events)).toEqual([
        ["bulkhead", "queued", { underWay: 1, queued: 1 }],
        ["bulkhead", "queued", { underWay: 1, queued: 2 }],
      ]);
    });

    test("one more than may wait is rejected", async () => {
      const { layer } = isolating("bulkhead", QUEUE);
      for (let n = 0; n < 3; n += 1) drive(layer);
      expect(await rejection(drive(layer).outcome)).toMatchObject({
        details: "1 calls are under way, and 2 wait, as many as may: no attempt was sent",
      });
    });

    test("a caller that leaves is never sent, and leaves its place to another", async () => {
      const { layer, clock } = isolating("bulkhead", QUEUE);
      const first = drive(layer);
      const controller = new AbortController();
      const left = drive(layer, { signal: controller.signal, deadline: 9_000 });
      const next = drive(layer);
      controller.abort("gone");
      expect(await rejection(left.outcome)).toBe("gone");
      expect([clock.pending, listenersOf(controller.signal)]).toEqual([0, 0]);
      first.reply("order");
      await first.outcome;
      await setImmediate();
      expect([left.calls.length, next.calls.length]).toEqual([0, 1]);
    });

    test("a caller that has left already does not wait", async () => {
      const { layer, clock } = isolating("bulkhead", QUEUE);
      const first = drive(layer);
      const left = drive(layer, { signal: AbortSignal.abort("gone") });
      expect(await rejection(left.outcome)).toBe("gone");
      first.reply("order");
      await first.outcome;
      await setImmediate();
      expect([left.calls.length, clock.pending]).toEqual([0, 0]);
    });

    test.each(Array.from({ length: 12 }, (_, turns) => turns))(
      "a caller that leaves %d turns of a promise after the answer before it loses no permit",
      async (turns) => {
        const { layer } = isolating("bulkhead", QUEUE);
        const first = drive(layer);
        const controller = new AbortController();
        const left = drive(layer, { signal: controller.signal });
        const next = drive(layer);
        first.reply("order");
        for (let n = 0; n < turns; n += 1) await undefined;
        controller.abort("gone");
        // As an attempt does that has been sent.
        for (const _ of left.calls) left.abort("gone");
        expect(await rejection(left.outcome)).toBe("gone");
        await setImmediate();
        expect(next.calls.length).toBe(1);
      },
    );

    test.each([
      [499, undefined],
      [500, "DEADLINE_BEFORE_SEND"],
    ])("a deadline of 500 ms after %d: %s", async (ms, reason) => {
      const { layer, clock } = isolating("bulkhead", QUEUE);
      const first = drive(layer);
      const late = drive(layer, { deadline: 500 });
      await clock.advance(ms);
      first.reply("order");
      await setImmediate();
      for (const _ of late.calls) late.reply("in time");
      const ended = await late.outcome.catch((error: RpcError) => error.reason);
      expect([late.calls.length, ended]).toEqual(reason ? [0, reason] : [1, "in time"]);
      expect(clock.pending).toBe(0);
    });

    test.each([
      [99, undefined],
      [100, "BULKHEAD_FULL"],
    ])("a longest wait of 100 ms after %d: %s", async (ms, reason) => {
      const { layer, clock } = isolating("bulkhead", { bulkhead: { ...QUEUE.bulkhead, maxWaitMs: 100 } });
      const first = drive(layer);
      const late = drive(layer, { deadline: 500 });
      await clock.advance(ms);
      first.reply("order");
      await setImmediate();
      for (const _ of late.calls) late.reply("in time");
      const ended = await late.outcome.catch((error: RpcError) => error.reason);
      expect([late.calls.length, ended]).toEqual(reason ? [0, reason] : [1, "in time"]);
      expect(clock.pending).toBe(0);
    });

    test("a client that is closed ends the wait", async () => {
      const { layer, state, clock } = isolating("bulkhead", QUEUE);
      const first = drive(layer);
      const waiting = drive(layer, { deadline: 500 });
      state.close();
      expect(await rejection(waiting.outcome)).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 0 });
      expect(await rejection(drive(layer).outcome)).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 0 });
      first.reply("order");
      await first.outcome;
      await setImmediate();
      expect([waiting.calls.length, clock.pending, listenersOf(state.closed)]).toEqual([0, 0, 0]);
    });

    test("who has had its turn listens to nothing any more", async () => {
      const { layer, state } = isolating("bulkhead", QUEUE);
      const { signal } = new AbortController();
      const first = drive(layer);
      const second = drive(layer, { signal, deadline: 500 });
      first.reply("order");
      await first.outcome;
      await setImmediate();
      expect([second.calls.length, listenersOf(signal), listenersOf(state.closed)]).toEqual([1, 0, 0]);
    });
  });

  describe("with a limit of the target's", () => {
    const limited = { adaptiveLimit: { initialLimit: 1, minLimit: 1, smoothing: 1 } };

    test("one that is one too many is rejected, whatever method it is of", async () => {
      const { layer, layerOf, events } = isolating("bulkhead", limited);
      drive(layer);
      const driven = drive(layerOf());
      expect(await rejection(driven.outcome)).toMatchObject({
        ...{ code: Status.RESOURCE_EXHAUSTED, reason: "LIMIT_REACHED", origin: "local", attempts: 0 },
        details: "the target's limit of 1 calls is reached: no attempt was sent",
      });
      expect(driven.calls).toEqual([]);
      expect(toldOf(events)).toEqual([["adaptive-limit", "rejected", { full: "limit", underWay: 0, queued: 0 }]]);
    });

    test("waits for it where it may wait at all", async () => {
      const { layer } = isolating("bulkhead", { ...limited, bulkhead: { maxConcurrent: 5, maxQueued: 5 } });
      const [first, second] = [drive(layer), drive(layer)];
      expect(second.calls).toEqual([]);
      first.reply("order");
      await first.outcome;
      await setImmediate();
      expect(second.calls.length).toBe(1);
    });
  });
});

describe("an outcome, for the target's limit", () => {
  const [drive] = forms.flatMap(([, drive]) => [drive]);
  const policy = { adaptiveLimit: { initialLimit: 20, smoothing: 1 } };

  /** Makes 20 calls at a time that end like this after 100 ms, for two windows; what became of the limit. */
  async function limitAfter(end: (driven: ReturnType<NonNullable<typeof drive>>) => void, changes = {}) {
    const { layer, clock, state } = isolating("bulkhead", policy);
    const limit = state.adaptiveLimit({});
    for (let n = 0; n < 24; n += 1) {
      const calls = Array.from({ length: limit.snapshot().limit }, () => drive?.(layer, changes));
      await clock.advance(100);
      for (const driven of calls) if (driven) end(driven);
      await Promise.allSettled(calls.map((driven) => driven?.outcome));
      expect(limit.snapshot().inFlight).toBe(0);
    }
    return limit.snapshot();
  }

  test("of success is a sample: it grows", async () => {
    expect(await limitAfter((driven) => driven.reply("order"))).toEqual({ limit: 28, inFlight: 0, longMs: 100 });
  });

  test.each<[string, unknown]>([
    ["the target's RESOURCE_EXHAUSTED", aFailure({ code: Status.RESOURCE_EXHAUSTED })],
    ["a deadline", aFailure({ code: Status.DEADLINE_EXCEEDED, reason: "DEADLINE_EXCEEDED", origin: "local" })],
    ["an attempt's time limit", aFailure({ code: Status.DEADLINE_EXCEEDED, reason: "ATTEMPT_TIMEOUT" })],
  ])("of %s is a drop: it falls", async (_, failure) => {
    expect(await limitAfter((driven) => driven.fail(failure))).toEqual({ limit: 11, inFlight: 0, longMs: 0 });
  });

  test.each<[string, unknown]>([
    ["UNAVAILABLE", aFailure()],
    ["NOT_FOUND", aFailure({ code: Status.NOT_FOUND })],
    ["a response that is too large", aFailure({ code: 8, reason: "MESSAGE_TOO_LARGE" })],
    ["a deadline before it was sent", aFailure({ code: 4, reason: "DEADLINE_BEFORE_SEND" })],
    ["a program's mistake", new TypeError("no such property")],
  ])("of %s says nothing", async (_, failure) => {
    expect(await limitAfter((driven) => driven.fail(failure))).toEqual({ limit: 20, inFlight: 0, longMs: 0 });
  });

  test.each<[string, unknown, number]>([
    ["its reason", "gone", 20],
    ["a time limit's", new DOMException("the time is over", "TimeoutError"), 11],
  ])("of a caller that leaves with %s comes to %3$d", async (_, reason, limit) => {
    const signal = AbortSignal.abort(reason);
    expect(await limitAfter((driven) => driven.abort(reason), { signal })).toMatchObject({ limit });
  });

  test("of an upload says nothing: it takes as long as its sender", async () => {
    const method = aMethod("client-stream");
    expect(await limitAfter((driven) => driven.reply("order"), { method })).toMatchObject({ limit: 20, longMs: 0 });
  });

  test("does not have in it what the process stood still", async () => {
    const { layer, clock, state, stalls } = isolating("bulkhead", policy);
    for (let n = 0; n < 11; n += 1) {
      const driven = drive?.(layer);
      await clock.advance(1_000);
      stalls.ms += 900;
      driven?.reply("order");
      await driven?.outcome;
    }
    expect(state.adaptiveLimit({}).snapshot().longMs).toBe(100);
  });
});

describe("a stream", () => {
  test("holds its permit to the end, and the limit's until it is open", async () => {
    const { layer, state } = isolating("bulkhead", { ...ONE, adaptiveLimit: {} });
    const limit = state.adaptiveLimit({});
    const { attempts, stream } = openStream(layer);
    expect(limit.snapshot().inFlight).toBe(1);
    newest(attempts).message("one");
    expect(await stream.next()).toEqual({ done: false, value: "one" });
    expect(limit.snapshot().inFlight).toBe(0);
    expect(await rejection(openStream(layer).stream.next())).toMatchObject({ reason: "BULKHEAD_FULL" });
    newest(attempts).succeed();
    expect(openStream(layer).attempts.streams.length).toBe(1);
  });

  test("is handed on as it is where it need not wait", () => {
    const { layer } = isolating("bulkhead", ONE);
    const { attempts, stream } = openStream(layer);
    expect(stream).toBe(newest(attempts));
  });

  test("that is left before anything came gives its permit back", async () => {
    const { layer } = isolating("bulkhead", ONE);
    await openStream(layer).stream.return();
    expect(openStream(layer).attempts.streams.length).toBe(1);
  });

  describe("that waits", () => {
    /** A stream that waits, and what makes its turn come. */
    function waiting(changes = {}) {
      const set = isolating("bulkhead", QUEUE);
      const running = openStream(set.layer);
      return { ...set, ...openStream(set.layer, changes), comes: () => newest(running.attempts).succeed() };
    }

    test("hands on what its watchers are to be told, and its messages in order", async () => {
      const { attempts, stream, told, comes } = waiting();
      const asked = [stream.next(), stream.next()];
      comes();
      await setImmediate();
      asked.push(stream.next());
      for (const message of ["one", "two", "three"]) newest(attempts).message(message);
      expect((await Promise.all(asked)).map(({ value }) => value)).toEqual(["one", "two", "three"]);
      newest(attempts).succeed();
      expect(await stream.next()).toEqual(DONE);
      expect(told).toEqual(["first message", "ok"]);
    });

    test("tells the first of those that ask why it ends, and its watchers", async () => {
      const { stream, told, state } = waiting();
      const asked = [stream.next(), stream.next()];
      state.close();
      const ended = await Promise.allSettled(asked);
      expect(ended).toMatchObject([
        { status: "rejected", reason: { reason: "CLIENT_CLOSED" } },
        { status: "fulfilled", value: DONE },
      ]);
      expect([await stream.next(), await stream.return()]).toEqual([DONE, DONE]);
      expect(told).toEqual(["error CLIENT_CLOSED"]);
    });

    test("is cancelled with its signal", async () => {
      const controller = new AbortController();
      const { stream, told } = waiting({ signal: controller.signal });
      const asked = rejection(stream.next());
      controller.abort("gone");
      expect(await asked).toBe("gone");
      expect(told).toEqual(["cancelled"]);
    });

    test.each([
      ["before its turn", false],
      ["in the moment in which its turn comes", true],
    ])("and is left %s is never opened: a pending next ends as done", async (_, late) => {
      const { attempts, stream, told, comes, layer } = waiting();
      const pending = stream.next();
      if (late) comes();
      expect(await stream.return()).toEqual(DONE);
      expect(await pending).toEqual(DONE);
      expect(await stream.next()).toEqual(DONE);
      if (!late) comes();
      await setImmediate();
      expect([attempts.streams, told]).toEqual([[], ["cancelled"]]);
      expect(openStream(layer).attempts.streams.length).toBe(1);
    });

    test("is left like any other once it is open", async () => {
      const { attempts, stream, told, comes, layer } = waiting();
      const pending = stream.next();
      comes();
      await setImmediate();
      await stream.return();
      expect(await pending).toEqual(DONE);
      expect([newest(attempts).left, told]).toEqual([1, ["cancelled"]]);
      expect(openStream(layer).attempts.streams.length).toBe(1);
    });
  });
});
