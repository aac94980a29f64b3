import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type CallContext, currentCall } from "../../../src/core/call-context.ts";
import { fail, type RpcError } from "../../../src/core/errors.ts";
import { EncodedMessage } from "../../../src/core/method.ts";
import type { ServeStream, ServeUnary } from "../../../src/core/served-call.ts";
import { ActiveCalls } from "../../../src/server/active-calls.ts";
import { type Serving, streamServer, unaryServer } from "../../../src/server/service.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import type { Answer, Ending, ResponseSink } from "../../../src/transport/index.ts";
import { type Arrival, ScriptedArrival } from "../../support/incoming.ts";
import { aMethod } from "../../support/scripted.ts";

const wall = 1_800_000_000_000;
const turn = () => new Promise((resolve) => setImmediate(resolve));
const drained = {
  reason: "DRAINING",
  code: 14,
  details: "the server is draining",
  sendTrailer: { "bowline-drain": "1" },
};

function aServer(draining = false) {
  const clock = fakeClock({ wallTime: wall });
  const active = new ActiveCalls();
  const onError = vi.fn();
  const serving: Serving = { clock, active, onError, isDraining: () => draining };
  return { clock, active, onError, serving };
}

/** A unary call that arrived, and its answers. */
function unaryCall(handler: ServeUnary, arrival: Arrival = {}, request: unknown = "request") {
  const set = aServer();
  const arrived = new ScriptedArrival(arrival);
  const answers: { response?: unknown; error?: RpcError | undefined; trailer?: unknown }[] = [];
  const respond = ({ response, error, trailer }: Answer) => {
    answers.push({
      ...(response && { response: JSON.parse(Buffer.from(response).toString()) }),
      ...(error && { error }),
      ...(trailer && { trailer: [...trailer] }),
    });
    return error;
  };
  unaryServer(aMethod(), handler, set.serving)(arrived.call, request, respond);
  return { ...set, arrived, answers };
}

/** A stream that was asked for, and what was sent. */
function streamCall(handler: ServeStream, { draining = false, room = Promise.resolve() } = {}) {
  const set = aServer(draining);
  const arrived = new ScriptedArrival();
  const sent: unknown[] = [];
  const ends: Ending[] = [];
  const sink: ResponseSink = {
    write(response) {
      sent.push(JSON.parse(Buffer.from(response).toString()));
      return room;
    },
    end: (ending) => {
      ends.push(ending);
      return ending.error;
    },
  };
  streamServer(aMethod("server-stream"), handler, set.serving)(arrived.call, "request", sink);
  return { ...set, arrived, sent, ends };
}

/** The context that a handler was given, and a handler that waits for it. */
function waitingHandler() {
  const seen: CallContext[] = [];
  const answer = Promise.withResolvers<unknown>();
  const handler: ServeUnary = (_, context) => {
    seen.push(context);
    return answer.promise;
  };
  return { handler, answer, context: () => seen[0] ?? expect.unreachable("the handler has not begun") };
}

describe("a unary call", () => {
  test("is served in its context, answered once, and then forgotten", async () => {
    const seen: unknown[] = [];
    const { active, answers } = unaryCall(async (request, context) => {
      await null;
      seen.push(request, currentCall() === context, active.count);
      return { ok: true };
    });
    await turn();
    expect(seen).toEqual(["request", true, 1]);
    expect(answers).toEqual([{ response: { ok: true } }]);
    expect(active.count).toBe(0);
  });

  test("sends the header and the trailer that its handler wrote", async () => {
    const { arrived, answers } = unaryCall(async (_, context) => {
      context.header.set("h", "1");
      context.trailer.set("t", "2");
      return "ok";
    });
    await turn();
    expect(arrived.sentHeaders).toEqual([{ h: "1" }]);
    expect(answers).toEqual([{ response: "ok", trailer: [["t", ["2"]]] }]);
  });

  test("that fails sends no header before the error, and its trailer with it", async () => {
    const { arrived, answers } = unaryCall(async (_, context) => {
      context.header.set("h", "1");
      context.trailer.set("t", "2");
      return fail("NOT_FOUND", "no such order");
    });
    await turn();
    expect(arrived.sentHeaders).toEqual([]);
    expect(answers).toMatchObject([{ error: { details: "no such order" }, trailer: [["t", ["2"]]] }]);
  });

  test("a header that was sent by hand is not sent again", async () => {
    const { arrived } = unaryCall(async (_, context) => {
      context.header.set("h", "1");
      context.sendHeader();
      context.sendHeader();
      return "ok";
    });
    await turn();
    expect(arrived.sentHeaders).toEqual([{ h: "1" }]);
  });

  test("sends what is encoded already as it is", async () => {
    const { answers } = unaryCall(async () => new EncodedMessage(Buffer.from('"as it is"')));
    await turn();
    expect(answers).toEqual([{ response: "as it is" }]);
  });

  test.each([
    ["a refusal is no news", () => fail("NOT_FOUND", "no such order"), 5, 0],
    ["anything else is told to the operator, not to the client", () => Promise.reject(new Error("secret")), 13, 1],
    ["so is a response that does not fit its type", async () => ({ total: 1n }), 13, 1],
    [
      "a handler that throws before its first await is answered too",
      () => {
        throw new Error("secret");
      },
      13,
      1,
    ],
  ] as const)("%s", async (_, handler, code, reported) => {
    const { answers, onError, active } = unaryCall(handler as ServeUnary);
    await turn();
    expect(answers).toMatchObject([{ error: { code } }]);
    expect(answers[0]?.error?.message).not.toContain("secret");
    expect(onError).toHaveBeenCalledTimes(reported);
    expect(active.count).toBe(0);
  });

  test("is answered though onError throws", async () => {
    const emit = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => emit.mockRestore());
    const set = aServer();
    set.onError.mockImplementation(() => {
      throw new Error("from onError");
    });
    const answers: Answer[] = [];
    const handler = async () => Promise.reject(new Error("secret"));
    unaryServer(aMethod(), handler, set.serving)(new ScriptedArrival().call, "request", (answer) => {
      answers.push(answer);
    });
    await turn();
    expect(answers).toMatchObject([{ error: { code: 13 } }]);
    expect(emit).toHaveBeenCalledExactlyOnceWith(
      expect.stringContaining("bowline: onError threw: Error: from onError"),
    );
    expect(set.active.count).toBe(0);
  });
});

describe("a client that leaves", () => {
  test("aborts the handler's signal; what the handler does then is neither news nor awaited", async () => {
    const { handler, answer, context } = waitingHandler();
    const { arrived, onError, active } = unaryCall(handler);
    const { signal } = context();
    arrived.cancel();
    expect(signal.reason).toMatchObject({ name: "AbortError" });
    expect(active.count).toBe(1);
    answer.reject(new Error("stopped"));
    await turn();
    expect(onError).not.toHaveBeenCalled();
    expect(active.count).toBe(0);
  });

  test("is known to a handler that asks for the signal only later", async () => {
    const { handler, context } = waitingHandler();
    const { arrived } = unaryCall(handler);
    arrived.cancel();
    expect(context().signal.aborted).toBe(true);
  });

  test("is known at once if it left before", () => {
    const { handler, context } = waitingHandler();
    const arrived = new ScriptedArrival();
    arrived.cancel();
    unaryServer(aMethod(), handler, aServer().serving)(arrived.call, "request", () => {});
    expect(context().signal.aborted).toBe(true);
  });

  test("after the answer aborts nothing", async () => {
    const { handler, answer, context } = waitingHandler();
    const { arrived } = unaryCall(handler);
    const { signal } = context();
    answer.resolve("ok");
    await turn();
    arrived.cancel();
    expect(signal.aborted).toBe(false);
  });

  test.each([
    [6, "AbortError"],
    [5, "RpcError"],
    [0, "RpcError"],
  ])("with %d ms left: the reason is an %s", async (remainingMs, name) => {
    const { handler, context } = waitingHandler();
    const { arrived, clock } = unaryCall(handler, { wallDeadline: wall + 100 });
    await clock.advance(100 - remainingMs);
    arrived.cancel();
    expect(context().signal.reason.name).toBe(name);
  });
});

describe("a drain", () => {
  test("lets a unary call finish, and answers it when it gives up on it", async () => {
    const { handler, answer, context } = waitingHandler();
    const { active, answers } = unaryCall(handler);
    active.drainStreams();
    expect([answers, context().signal.aborted]).toEqual([[], false]);
    active.abandon();
    expect(answers).toMatchObject([{ error: drained }]);
    expect(context().signal.reason).toMatchObject(drained);
    expect(active.count).toBe(1);
    answer.resolve("late");
    await turn();
    expect(active.count).toBe(0);
  });

  test("ends an open stream, whose handler stops at its next message", async () => {
    const more = Promise.withResolvers<void>();
    const cleanedUp = vi.fn();
    const { active, sent, ends } = streamCall(async function* () {
      try {
        yield 1;
        await more.promise;
        yield 2;
      } finally {
        cleanedUp();
      }
    });
    await turn();
    active.drainStreams();
    expect(ends).toMatchObject([{ error: drained }]);
    more.resolve();
    await turn();
    expect(sent).toEqual([1]);
    expect(cleanedUp).toHaveBeenCalledOnce();
    expect(active.count).toBe(0);
  });

  test("takes no new stream", () => {
    const handler = vi.fn();
    const { active, ends } = streamCall(handler, { draining: true });
    expect(handler).not.toHaveBeenCalled();
    expect(ends).toMatchObject([{ error: drained }]);
    expect(active.count).toBe(0);
  });
});

describe("a stream", () => {
  test("is served in its context at every step, in order, and ends well", async () => {
    const seen: boolean[] = [];
    const { arrived, sent, ends, active } = streamCall(async function* (_, context) {
      context.header.set("h", "1");
      context.trailer.set("t", "2");
      try {
        yield "a";
        seen.push(currentCall() === context);
        yield "b";
      } finally {
        seen.push(currentCall() === context);
      }
    });
    await turn();
    expect([sent, seen, arrived.sentHeaders]).toEqual([["a", "b"], [true, true], [{ h: "1" }]]);
    expect(ends.map(({ error, trailer }) => [error, [...(trailer ?? [])]])).toEqual([[undefined, [["t", ["2"]]]]]);
    expect(active.count).toBe(0);
  });

  test("without a message sends its header at its end", async () => {
    const { arrived } = streamCall(async function* (_, context) {
      context.header.set("h", "1");
      for (const message of [] as string[]) yield message;
    });
    await turn();
    expect(arrived.sentHeaders).toEqual([{ h: "1" }]);
  });

  const failing = (work: () => void): ServeStream =>
    async function* () {
      work();
      yield "never";
    };
  const boom = () => {
    throw new Error("secret");
  };
  const refuse = () => fail("NOT_FOUND", "no such order");

  test.each<[string, ServeStream, number, number]>([
    ["refuses before its first message", failing(refuse), 5, 0],
    ["refuses without a generator", refuse, 5, 0],
    ["fails", failing(boom), 13, 1],
    ["fails without a generator", boom, 13, 1],
    ["is no stream", (() => Promise.resolve("one")) as never, 13, 1],
    ["yields what does not fit its type", () => ReadableStream.from([1n]) as never, 13, 1],
  ])("whose handler %s ends with that, no header before it", async (_, handler, code, reported) => {
    const { arrived, sent, ends, onError, active } = streamCall(handler);
    await turn();
    expect(ends).toMatchObject([{ error: { code } }]);
    expect([sent, arrived.sentHeaders]).toEqual([[], []]);
    expect(onError).toHaveBeenCalledTimes(reported);
    expect(active.count).toBe(0);
  });

  test("whose client leaves stops its handler at the next message, in its context", async () => {
    const seen: unknown[] = [];
    const more = Promise.withResolvers<void>();
    const { arrived, sent, active, onError } = streamCall(async function* (_, context) {
      try {
        yield 1;
        await more.promise;
        yield 2;
      } finally {
        seen.push(context.signal.aborted, currentCall() === context);
      }
    });
    await turn();
    arrived.cancel();
    more.resolve();
    await turn();
    expect([sent, seen, active.count]).toEqual([[1], [true, true], 0]);
    expect(onError).not.toHaveBeenCalled();
  });
});

describe("the context", () => {
  test("shows the call", async () => {
    const { handler, context } = waitingHandler();
    const { clock } = unaryCall(handler, { wallDeadline: wall + 300, metadata: { a: "b" }, peer: "[::1]:99" });
    expect(context().method.path).toBe("/test.Service/unary");
    expect(context().metadata.get("a")).toBe("b");
    expect(context().peer).toBe("[::1]:99");
    expect(context().identity).toEqual({ key: "peer:::1", source: "peer" });
    expect(context().deadline).toEqual(new Date(wall + 300));
    expect([context().deadlineAt, context().remainingMs()]).toEqual([300, 300]);
    await clock.advance(299);
    expect(context().remainingMs()).toBe(1);
    await clock.advance(2);
    expect(context().remainingMs()).toBe(0);
  });

  test("has no deadline where the client set none", () => {
    const { handler, context } = waitingHandler();
    unaryCall(handler);
    expect([context().deadline, context().deadlineAt, context().remainingMs()]).toEqual([
      undefined,
      Infinity,
      Infinity,
    ]);
  });

  test("keeps its deadline though the wall clock jumps", () => {
    const { handler, context } = waitingHandler();
    const { clock } = unaryCall(handler, { wallDeadline: wall + 300 });
    clock.jumpWall(3_600_000);
    expect(context().remainingMs()).toBe(300);
  });
});
