import { inspect } from "node:util";
import { Metadata } from "nice-grpc-common";
import { describe, expect, test, vi } from "vitest";
import { streamMethod, unaryMethod } from "../../../src/client/invoke.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { NO_DEADLINE } from "../../../src/core/deadline.ts";
import { RpcError } from "../../../src/core/errors.ts";
import { aMethod, aReply, ScriptedStreams, ScriptedUnary } from "../../support/scripted.ts";

const done = { done: true, value: undefined };
const header = new Metadata({ "x-header": "h" });
const trailer = new Metadata({ "x-trailer": "t" });
const failure = new RpcError({ path: "/p", reason: "STATUS", code: 5, details: "gone", trailer });

describe("a call's start", () => {
  test("is the request and nothing else", async () => {
    const unary = new ScriptedUnary();
    const method = aMethod();
    const reply = unaryMethod(method, unary.handler)("request");
    unary.reply(aReply("ok"));
    expect(await reply).toBe("ok");
    expect(unary.calls).toEqual([
      {
        id: expect.any(Number),
        attempt: 1,
        method,
        request: "request",
        options: {},
        metadata: undefined,
        headers: undefined,
        startedAt: expect.any(Number),
        deadline: NO_DEADLINE,
        signal: undefined,
        carrier: undefined,
      },
    ]);
  });

  test("has its options looked at, if there are any, before anything is done for it", async () => {
    const problem = new TypeError("no such option");
    const check = vi.fn(() => {
      throw problem;
    });
    const [unary, streams] = [new ScriptedUnary(), new ScriptedStreams()];
    const [one, many] = [
      unaryMethod(aMethod(), unary.handler, systemClock, check),
      streamMethod(aMethod(), streams.handler, systemClock, check),
    ];
    const options = { timeoutMs: 5 };
    await expect(one("request", options)).rejects.toBe(problem);
    const stream = many("request", options);
    await expect(stream.next()).rejects.toBe(problem);
    expect(await stream.next()).toEqual(done);
    expect([unary.calls, streams.calls, check.mock.calls]).toEqual([[], [], [[options], [options]]]);
    void one("request");
    void many("request").next();
    expect([unary.calls.length, streams.calls.length, check.mock.calls.length]).toEqual([1, 1, 2]);
  });

  test("carries what the application said", async () => {
    const unary = new ScriptedUnary();
    const { signal } = new AbortController();
    const metadata = new Metadata({ a: "b" });
    const options = { signal, metadata, timeoutMs: 5 };
    void unaryMethod(aMethod(), unary.handler)("request", options, "carrier");
    expect(unary.calls[0]).toMatchObject({ options, signal, carrier: "carrier" });
    expect(unary.calls[0]?.metadata).toBe(metadata);
  });

  test.each([
    ["an object", { a: "b", "c-bin": new Uint8Array([1]) }],
    [
      "entries",
      [
        ["a", "b"],
        ["c-bin", new Uint8Array([1])],
      ] as [string, string | Uint8Array][],
    ],
  ])("takes metadata as %s", (_, metadata) => {
    const unary = new ScriptedUnary();
    void unaryMethod(aMethod(), unary.handler)("request", { metadata });
    expect([...(unary.calls[0]?.metadata ?? [])]).toEqual([
      ["a", ["b"]],
      ["c-bin", [new Uint8Array([1])]],
    ]);
  });

  const bad = { metadata: { "no spaces": "b" } };
  const refusal = { reason: "REQUEST_NOT_ENCODABLE", attempts: 0, path: "/test.Service/unary" };

  test("rejects metadata that cannot be sent: unary", async () => {
    const unary = new ScriptedUnary();
    const error = await unaryMethod(aMethod(), unary.handler)("request", bad).catch((reason) => reason);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({
      ...refusal,
      details: expect.stringContaining('the metadata "no spaces" cannot be sent'),
    });
    expect(unary.calls).toEqual([]);
  });

  const asciiAlone = "a text has printable ASCII alone; bytes go under a key that ends in -bin";
  const unreadable =
    "metadata that cannot be read: it takes an object or pairs, of texts and under keys in -bin of bytes";

  test.each<[string, unknown, string]>([
    ["a value", { authorization: "s3cr3t\n" }, `the metadata "authorization" cannot be sent: ${asciiAlone}`],
    ["one of several", [["x-key", ["fine", "s3cr3t\n"]]], `the metadata "x-key" cannot be sent: ${asciiAlone}`],
    [
      "text for bytes",
      { "x-bin": "s3cr3t" },
      'the metadata "x-bin" cannot be sent: a key that ends in -bin takes bytes',
    ],
    ["a value alone", "Bearer s3cr3t", unreadable],
    ["values within values", { "x-key": [["s3cr3t"]] }, "only a key that ends in -bin takes anything but text"],
    ["nothing", null, unreadable],
  ])("says what of the metadata cannot be sent, and never quotes it: %s", async (_, metadata, details) => {
    const unary = new ScriptedUnary();
    const options = { metadata: metadata as never };
    const error = await unaryMethod(aMethod(), unary.handler)("request", options).catch((reason) => reason);
    expect(error).toMatchObject({ ...refusal, details: expect.stringContaining(details) });
    expect(inspect(error)).not.toContain("s3cr3t");
    expect(unary.calls).toEqual([]);
  });

  test("rejects metadata that cannot be sent: stream, which is over then", async () => {
    const streams = new ScriptedStreams();
    const stream = streamMethod(aMethod(), streams.handler)("request", bad);
    await expect(stream.next()).rejects.toMatchObject(refusal);
    expect(await stream.next()).toEqual(done);
    expect(streams.calls).toEqual([]);
  });
});

describe("a unary call's header and trailer", () => {
  const observed = () => ({ onHeader: vi.fn(), onTrailer: vi.fn() });

  test("are told once each, before it succeeds", async () => {
    const unary = new ScriptedUnary();
    const told: string[] = [];
    const options = { onHeader: () => told.push("header"), onTrailer: () => told.push("trailer") };
    const reply = unaryMethod(aMethod(), unary.handler)("request", options).then(() => told.push("reply"));
    unary.reply(aReply("ok", header, trailer));
    await reply;
    expect(told).toEqual(["header", "trailer", "reply"]);
  });

  test("are the reply's own", async () => {
    const unary = new ScriptedUnary();
    const options = observed();
    const reply = unaryMethod(aMethod(), unary.handler)("request", options);
    unary.reply(aReply("ok", header, trailer));
    await reply;
    expect(options.onHeader).toHaveBeenCalledExactlyOnceWith(header);
    expect(options.onTrailer).toHaveBeenCalledExactlyOnceWith(trailer);
  });

  test("are not read if nobody asks", async () => {
    const unary = new ScriptedUnary();
    const read = vi.fn(() => header);
    const reply = unaryMethod(aMethod(), unary.handler)("request");
    unary.reply(Object.defineProperties({ message: "ok" }, { header: { get: read }, trailer: { get: read } }) as never);
    await reply;
    expect(read).not.toHaveBeenCalled();
  });

  test("the trailer of a failure is told too", async () => {
    const unary = new ScriptedUnary();
    const options = observed();
    const reply = unaryMethod(aMethod(), unary.handler)("request", options);
    unary.fail(failure);
    await expect(reply).rejects.toBe(failure);
    expect(options.onHeader).not.toHaveBeenCalled();
    expect(options.onTrailer).toHaveBeenCalledExactlyOnceWith(trailer);
  });

  test.each([
    ["an RpcError without a trailer", new RpcError({ path: "", reason: "TRANSPORT", details: "" })],
    ["anything else", new Error("boom")],
  ])("no trailer is told of %s", async (_, error) => {
    const unary = new ScriptedUnary();
    const options = observed();
    const reply = unaryMethod(aMethod(), unary.handler)("request", options);
    unary.fail(error);
    await expect(reply).rejects.toBe(error);
    expect(options.onTrailer).not.toHaveBeenCalled();
  });

  test("what onTrailer throws is a warning of the process: the call has succeeded", async () => {
    const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const unary = new ScriptedUnary();
    const onTrailer = vi.fn(() => {
      throw failure;
    });
    const reply = unaryMethod(aMethod(), unary.handler)("request", { onTrailer });
    unary.reply(aReply("ok", header, trailer));
    await expect(reply).resolves.toBe("ok");
    expect(onTrailer).toHaveBeenCalledOnce();
    expect(emitWarning).toHaveBeenCalledExactlyOnceWith(expect.stringContaining("onTrailer threw"));
    emitWarning.mockRestore();
  });
});

describe("a stream", () => {
  const setUp = (options = {}) => {
    const streams = new ScriptedStreams();
    const opened = () => streams.streams[0] ?? expect.unreachable("the stream is not open");
    return { streams, opened, stream: streamMethod(aMethod("server-stream"), streams.handler)("request", options) };
  };

  test("is sent with its first next(), and not before", () => {
    const { streams, stream } = setUp();
    expect(stream[Symbol.asyncIterator]()).toBe(stream);
    expect(streams.calls).toEqual([]);
    void stream.next();
    void stream.next();
    expect(streams.calls.length).toBe(1);
  });

  test("gives its messages in order, then the end for ever", async () => {
    const { opened, stream } = setUp();
    const read = Array.fromAsync(stream);
    opened().message(1);
    opened().message(2);
    opened().succeed();
    expect(await read).toEqual([1, 2]);
    expect(await stream.next()).toEqual(done);
  });

  test("fails once, and is over then", async () => {
    const { opened, stream } = setUp();
    const [first, second] = [stream.next(), stream.next()];
    opened().fail(failure);
    await expect(first).rejects.toBe(failure);
    expect(await second).toEqual(done);
    expect(await stream.next()).toEqual(done);
  });

  test("left before its first next(), is never sent", async () => {
    const { streams, stream } = setUp();
    expect(await stream.return()).toEqual(done);
    expect(await stream.next()).toEqual(done);
    expect(streams.calls).toEqual([]);
  });

  test.each([
    ["return()", (stream: AsyncDisposable & { return(): Promise<unknown> }) => stream.return()],
    ["await using", (stream: AsyncDisposable) => stream[Symbol.asyncDispose]()],
  ])("left with %s while a next() waits, ends both as done", async (_, leave) => {
    const { opened, stream } = setUp();
    const waiting = stream.next();
    await leave(stream);
    expect(await waiting).toEqual(done);
    expect(opened().left).toBe(1);
    expect(await stream.next()).toEqual(done);
  });

  test("leaving a for await leaves the stream", async () => {
    const { opened, stream } = setUp();
    const reading = (async () => {
      for await (const message of stream) return message;
      return undefined;
    })();
    opened().message(1);
    opened().message(2);
    expect(await reading).toBe(1);
    expect(opened().left).toBe(1);
  });

  test("header and trailer are told once, the trailer after the last message", async () => {
    const told: unknown[] = [];
    const { opened, stream } = setUp({
      onHeader: (metadata: Metadata) => told.push(metadata),
      onTrailer: (metadata: Metadata) => told.push(metadata),
    });
    const first = stream.next();
    opened().headers(header);
    opened().message(1);
    opened().message(2);
    opened().succeed(trailer);
    await first;
    await stream.next();
    expect(told).toEqual([header]);
    expect(await stream.next()).toEqual(done);
    await stream.next();
    expect(told).toEqual([header, trailer]);
  });

  test("the trailer of a failure is told once, though two next() wait", async () => {
    const onTrailer = vi.fn();
    const { opened, stream } = setUp({ onTrailer });
    const waiting = Promise.allSettled([stream.next(), stream.next()]);
    opened().fail(failure);
    expect((await waiting).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(onTrailer).toHaveBeenCalledExactlyOnceWith(trailer);
  });

  test("no trailer is told of a stream that was left", async () => {
    const onTrailer = vi.fn();
    const { opened, stream } = setUp({ onTrailer });
    const waiting = stream.next();
    opened().message(1);
    await waiting;
    await stream.return();
    await stream.next();
    expect(onTrailer).not.toHaveBeenCalled();
  });
});
