import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { deadlineLayer, type Timeouts } from "../../../src/client/layers/deadline.ts";
import type { Call, StreamHandler, UnaryHandler } from "../../../src/core/call.ts";
import { type CallContext, detached, runInCall } from "../../../src/core/call-context.ts";
import type { CallOptions } from "../../../src/core/call-options.ts";
import { NO_DEADLINE } from "../../../src/core/deadline.ts";
import { RpcError } from "../../../src/core/errors.ts";
import { type FakeClock, fakeClock } from "../../../src/testing/index.ts";
import { aCall, aMethod, aReply, ScriptedStreams, ScriptedUnary } from "../../support/scripted.ts";

const silent: Timeouts = { said: undefined, otherwise: 10_000 };
const endless: Timeouts = { said: undefined, otherwise: NO_DEADLINE };

/** A served call that ends `remainingMs` from now. */
function served(clock: FakeClock, remainingMs: number, controller = new AbortController()): CallContext {
  return { deadlineAt: clock.now() + remainingMs, signal: controller.signal } as CallContext;
}

/** Both forms of the layer behind one face: what the next handler is given, or the error. */
const forms = {
  unary: async (timeouts: Timeouts, clock: FakeClock, made: Call): Promise<Call> => {
    const call = { ...made, startedAt: clock.now() };
    const given: Call[] = [];
    const next: UnaryHandler = async (passed) => aReply(given.push(passed));
    await deadlineLayer(timeouts, clock).unary(next, call.method)(call);
    return given[0] ?? expect.unreachable();
  },
  stream: async (timeouts: Timeouts, clock: FakeClock, made: Call): Promise<Call> => {
    const call = { ...made, startedAt: clock.now() };
    const streams = new ScriptedStreams();
    const next: StreamHandler = (passed) => {
      const stream = streams.handler(passed);
      streams.streams[0]?.succeed();
      return stream;
    };
    await deadlineLayer(timeouts, clock).stream(next, aMethod("server-stream"))(call).next();
    return streams.calls[0] ?? expect.unreachable();
  },
};

describe.each(Object.entries(forms))("%s", (_, pass) => {
  const wall = 1_800_000_000_000;
  const inMs = (ms: number) => new Date(wall + ms);

  test.each<[string, Timeouts, CallOptions, number]>([
    ["the default if nobody says anything", silent, {}, 10_000],
    ["none if the method has no default", endless, {}, NO_DEADLINE],
    ["what contract and client say", { ...silent, said: 300 }, {}, 300],
    ["the call's, if it is shorter", { ...silent, said: 300 }, { timeoutMs: 200 }, 200],
    ["not the call's, if it is longer", { ...silent, said: 300 }, { timeoutMs: 400 }, 300],
    ["not the call's, if it is endless", { ...silent, said: 300 }, { timeoutMs: NO_DEADLINE }, 300],
    ["the call's instead of the default, if it is longer", silent, { timeoutMs: 20_000 }, 20_000],
    ["none if the call says so and nobody else says anything", silent, { timeoutMs: NO_DEADLINE }, NO_DEADLINE],
    ["a date", silent, { deadline: inMs(500) }, 500],
    ["a date instead of the default, if it is later", silent, { deadline: inMs(20_000) }, 20_000],
    ["the earlier of date and timeout: the date", silent, { deadline: inMs(500), timeoutMs: 600 }, 500],
    ["the earlier of date and timeout: the timeout", silent, { deadline: inMs(600), timeoutMs: 500 }, 500],
    ["what contract and client say, if the date is later", { ...silent, said: 300 }, { deadline: inMs(400) }, 300],
  ])("R9 the deadline is %s", async (_, timeouts, options, expected) => {
    const clock = fakeClock({ now: 1_000, wallTime: wall });
    const passed = await pass(timeouts, clock, aCall({ options }));
    expect(passed.deadline - 1_000).toBe(expected);
  });

  test("reckons dates by the wall clock of the moment", async () => {
    const clock = fakeClock({ wallTime: wall });
    clock.jumpWall(-60_000);
    const passed = await pass(silent, clock, aCall({ options: { deadline: inMs(0) } }));
    expect(passed.deadline).toBe(60_000);
  });

  test.each<[string, number, CallOptions, number]>([
    ["what is left to it, less 5 ms", 100, {}, 95],
    ["its own, if that is earlier", 100, { timeoutMs: 50 }, 50],
    ["its own, if that is earlier by 1 ms", 100, { timeoutMs: 94 }, 94],
    ["the parent's, though the call asks for more", 100, { timeoutMs: 500 }, 95],
    ["its own, if the parent has none", NO_DEADLINE, {}, 10_000],
    ["its own, if it does not inherit", 100, { inherit: false }, 10_000],
    ["the parent's, if it says that it inherits", 100, { inherit: true }, 95],
  ])("D1 a call made while serving another has %s", async (_, remainingMs, options, expected) => {
    const clock = fakeClock();
    const parent = served(clock, remainingMs);
    const passed = await runInCall(parent, () => pass(silent, clock, aCall({ options })));
    expect(passed.deadline).toBe(expected);
  });

  test("D1 inherits nothing in detached work", async () => {
    const clock = fakeClock();
    const parent = served(clock, 100);
    const passed = await runInCall(parent, () => detached(() => pass(silent, clock, aCall())));
    expect([passed.deadline, passed.signal]).toEqual([10_000, undefined]);
  });

  test.each([
    [5, "rejects"],
    [5.001, "resolves"],
    [6, "resolves"],
  ] as const)("D1 a parent with %d ms left: the call %s", async (remainingMs, outcome) => {
    const clock = fakeClock();
    const passed = runInCall(served(clock, remainingMs), () => pass(silent, clock, aCall()));
    const settled = { rejects: "rejected", resolves: "fulfilled" }[outcome];
    expect((await Promise.allSettled([passed]))[0].status).toBe(settled);
  });

  test("D1 inherits the parent's cancellation, with its reason", async () => {
    const clock = fakeClock();
    const controller = new AbortController();
    const passed = await runInCall(served(clock, 100, controller), () => pass(silent, clock, aCall()));
    controller.abort("parent left");
    expect(passed.signal?.reason).toBe("parent left");
  });

  test("without inheriting, the call keeps its own signal alone", async () => {
    const clock = fakeClock();
    const parent = new AbortController();
    const own = new AbortController();
    const call = aCall({ options: { inherit: false }, signal: own.signal });
    const passed = await runInCall(served(clock, 100, parent), () => pass(silent, clock, call));
    expect(passed.signal).toBe(own.signal);
  });

  const late = "the deadline passed before the call was sent";
  test.each<[CallOptions]>([
    [{ timeoutMs: 0 }],
    [{ timeoutMs: -1 }],
    [{ deadline: inMs(0) }],
    [{ deadline: inMs(-1) }],
  ])("%j is refused before anything is sent", async (options) => {
    const clock = fakeClock({ wallTime: wall });
    const error = await pass(silent, clock, aCall({ options })).catch((reason) => reason);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({
      reason: "DEADLINE_BEFORE_SEND",
      details: late,
      attempts: 0,
      path: "/test.Service/unary",
    });
  });

  test("1 ms before its date a call is sent", async () => {
    const clock = fakeClock({ wallTime: wall });
    const passed = await pass(silent, clock, aCall({ options: { deadline: inMs(1) } }));
    expect(passed.deadline).toBe(1);
  });
});

describe("what the layer leaves behind on signals that outlive the call", () => {
  const clock = fakeClock();
  const layer = deadlineLayer(silent, clock);
  const setUp = () => {
    const [parent, own] = [new AbortController(), new AbortController()];
    const count = () => [parent, own].map(({ signal }) => getEventListeners(signal, "abort").length);
    return { parent, own, count, context: served(clock, 100, parent), call: aCall({ signal: own.signal }) };
  };

  test.each([
    ["succeeded", (attempt: ScriptedUnary) => attempt.reply(aReply("ok"))],
    ["failed", (attempt: ScriptedUnary) => attempt.fail(new Error("no"))],
  ])("nothing once a unary call %s", async (_, settle) => {
    const { count, context, call } = setUp();
    const attempt = new ScriptedUnary();
    const reply = runInCall(context, () => layer.unary(attempt.handler, call.method)(call));
    expect(count()).toEqual([1, 1]);
    settle(attempt);
    await reply.catch(() => {});
    expect(count()).toEqual([0, 0]);
  });

  test.each([
    ["ended", (streams: ScriptedStreams) => streams.streams[0]?.succeed()],
    ["failed", (streams: ScriptedStreams) => streams.streams[0]?.fail(new Error("no"))],
    ["was left", (streams: ScriptedStreams) => streams.streams[0]?.return()],
  ])("nothing once a stream %s", async (_, end) => {
    const { count, context, call } = setUp();
    const streams = new ScriptedStreams();
    const stream = runInCall(context, () => layer.stream(streams.handler, call.method)(call));
    const next = stream.next().catch(() => {});
    expect(count()).toEqual([1, 1]);
    end(streams);
    await next;
    expect(count()).toEqual([0, 0]);
  });

  test("nothing once what comes below has thrown at once", async () => {
    const { count, context, call } = setUp();
    const mistake = new TypeError("no such property");
    const thrown = () => {
      throw mistake;
    };
    const reply = runInCall(context, () => layer.unary(thrown, call.method)(call));
    await expect(reply).rejects.toBe(mistake);
    expect(() => runInCall(context, () => layer.stream(thrown, call.method)(call))).toThrow(mistake);
    expect(count()).toEqual([0, 0]);
  });

  test("either of the two cancels the call, with its reason", async () => {
    const { own, context, call } = setUp();
    const attempt = new ScriptedUnary();
    void runInCall(context, () => layer.unary(attempt.handler, call.method)(call));
    own.abort("caller left");
    expect(attempt.calls[0]?.signal?.reason).toBe("caller left");
    attempt.reply(aReply("late"));
  });
});
