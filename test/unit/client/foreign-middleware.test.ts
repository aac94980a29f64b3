import type { ClientMiddleware } from "nice-grpc-common";
import { describe, expect, test, vi } from "vitest";
import { aroundStream, aroundUnary, composeForeign } from "../../../src/client/foreign-middleware.ts";
import { type StreamMethod, streamMethod, THROUGH_MIDDLEWARES } from "../../../src/client/invoke.ts";
import { RpcError } from "../../../src/core/errors.ts";
import { aMethod, ScriptedStreams } from "../../support/scripted.ts";

const done = { done: true, value: undefined };
const failure = new RpcError({ path: "/p", reason: "STATUS", code: 5, details: "gone" });

/** A middleware that hands everything on. */
const passing: ClientMiddleware = async function* passing(call, options) {
  return yield* call.next(call.request, options);
};

describe("composeForeign", () => {
  test("makes nothing of nothing, and one of one", () => {
    expect(composeForeign([])).toBeUndefined();
    expect(composeForeign([passing])).toBe(passing);
  });

  test("the first is the innermost", async () => {
    const order: string[] = [];
    const named = (name: string): ClientMiddleware =>
      async function* noting(call, options) {
        order.push(name);
        return yield* call.next(call.request, options);
      };
    const composed = composeForeign(["inner", "middle", "outer"].map(named)) ?? passing;
    await aroundUnary(composed, aMethod(), async () => order.push("call"))("request");
    expect(order).toEqual(["outer", "middle", "inner", "call"]);
  });
});

describe("around a unary method", () => {
  test("a middleware sees the method, and may change request, options and response", async () => {
    const seen: unknown[] = [];
    const changing: ClientMiddleware = async function* changing(call, options) {
      seen.push(call.method, call.requestStream, call.responseStream, call.request, options);
      const response = yield* call.next("changed" as never, { ...options, metadata: { a: "b" } as never });
      return `${response}!` as never;
    };
    const inner = vi.fn(async () => "response");
    const method = aMethod("unary", { idempotency: "IDEMPOTENT" });
    const options = { timeoutMs: 5 };
    expect(await aroundUnary(changing, method, inner)("request", options)).toBe("response!");
    const sent = { timeoutMs: 5, metadata: { a: "b" } };
    expect(inner).toHaveBeenCalledExactlyOnceWith("changed", sent, THROUGH_MIDDLEWARES);
    const described = {
      path: method.path,
      requestStream: false,
      responseStream: false,
      options: { idempotencyLevel: "IDEMPOTENT" },
    };
    expect(seen).toEqual([described, false, false, "request", options]);
  });

  test("says nothing of idempotency where the contract does not", async () => {
    const seen: unknown[] = [];
    const noting: ClientMiddleware = async function* noting(call, options) {
      seen.push(call.method.options);
      return yield* call.next(call.request, options);
    };
    await aroundUnary(noting, aMethod(), async () => "response")("request");
    expect(seen).toEqual([{}]);
  });

  test("a middleware may call twice: each is a call", async () => {
    const twice: ClientMiddleware = async function* twice(call, options) {
      yield* call.next(call.request, options);
      return yield* call.next(call.request, options);
    };
    const inner = vi.fn(async () => "response");
    await aroundUnary(twice, aMethod(), inner)("request");
    expect(inner).toHaveBeenCalledTimes(2);
  });

  test("what the call or a middleware throws comes through", async () => {
    const fails = async () => Promise.reject(failure);
    await expect(aroundUnary(passing, aMethod(), fails)("request")).rejects.toBe(failure);
  });

  test("a middleware that yields is told what it did wrong, and may clean up", async () => {
    const cleanedUp = vi.fn();
    const yielding: ClientMiddleware = async function* yielding() {
      try {
        yield "response" as never;
      } finally {
        cleanedUp();
      }
    };
    await expect(aroundUnary(yielding, aMethod(), async () => "")("request")).rejects.toEqual(
      new TypeError("/test.Service/unary: a middleware yielded a message; a unary method returns one"),
    );
    expect(cleanedUp).toHaveBeenCalledOnce();
  });
});

describe("around a stream", () => {
  const setUp = (middleware: ClientMiddleware) => {
    const method = aMethod("server-stream");
    const streams = new ScriptedStreams();
    const call: StreamMethod = aroundStream(middleware, method, streamMethod(method, streams.handler));
    const opened = () => vi.waitFor(() => streams.streams[0] ?? expect.unreachable("the stream is not open"));
    return { streams, opened, stream: call("request") };
  };

  test("messages pass, and may be changed", async () => {
    const doubling: ClientMiddleware = async function* doubling(call, options) {
      for await (const message of call.next(call.request, options)) yield (Number(message) * 2) as never;
    };
    const { opened, stream } = setUp(doubling);
    const read = Array.fromAsync(stream);
    const inner = await opened();
    inner.message(1);
    inner.message(2);
    inner.succeed();
    expect(await read).toEqual([2, 4]);
  });

  test("is sent with its first next(), and not before", async () => {
    const { streams, stream } = setUp(passing);
    expect(stream[Symbol.asyncIterator]()).toBe(stream);
    expect(await stream.return()).toEqual(done);
    expect(await stream.next()).toEqual(done);
    expect(streams.calls).toEqual([]);
  });

  test("a failure comes through once", async () => {
    const { opened, stream } = setUp(passing);
    const waiting = Promise.allSettled([stream.next(), stream.next()]);
    (await opened()).fail(failure);
    expect(await waiting).toEqual([
      { status: "rejected", reason: failure },
      { status: "fulfilled", value: done },
    ]);
  });

  test("leaving a for await leaves the call", async () => {
    const { opened, stream } = setUp(passing);
    const reading = (async () => {
      for await (const message of stream) return message;
      return undefined;
    })();
    const inner = await opened();
    inner.message(1);
    expect(await reading).toBe(1);
    expect(inner.left).toBeGreaterThan(0);
  });

  test.each([
    ["return()", (stream: AsyncDisposable & { return(): Promise<unknown> }) => stream.return()],
    ["await using", (stream: AsyncDisposable) => stream[Symbol.asyncDispose]()],
  ])("left with %s while a next() waits, ends both as done and cancels the call", async (_, leave) => {
    const { opened, stream } = setUp(passing);
    const waiting = stream.next();
    const inner = await opened();
    await leave(stream);
    expect(await waiting).toEqual(done);
    expect(inner.left).toBeGreaterThan(0);
    expect(await stream.next()).toEqual(done);
  });

  test("left while the middleware is not there yet, is never sent", async () => {
    const token = Promise.withResolvers<void>();
    const slow: ClientMiddleware = async function* slow(call, options) {
      await token.promise;
      yield* call.next(call.request, options) as AsyncIterable<never>;
    };
    const { streams, stream } = setUp(slow);
    const waiting = stream.next();
    const left = stream.return();
    token.resolve();
    expect(await Promise.all([waiting, left])).toEqual([done, done]);
    expect(streams.calls).toEqual([]);
  });
});
