import type { ServerMiddleware } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import type { CallContext } from "../../../src/core/call-context.ts";
import type { ServeStream, ServeUnary } from "../../../src/core/served-call.ts";
import { foreignLayer } from "../../../src/server/foreign-middleware.ts";
import { ServerContext } from "../../../src/server/server-context.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { ScriptedArrival } from "../../support/incoming.ts";
import { aMethod } from "../../support/scripted.ts";

const unary = aMethod();
const stream = aMethod("server-stream", { idempotency: "NO_SIDE_EFFECTS" });

const aContext = () => new ServerContext(unary, new ScriptedArrival({ metadata: { a: "b" } }).call, fakeClock());

/** A middleware as nice-grpc's documentation writes them: with a spread copy of the context. */
const naming: ServerMiddleware<{ user: string }> = async function* naming(call, context) {
  return yield* call.next(call.request, { ...context, user: "ann" });
};

describe("a nice-grpc server middleware", () => {
  test("adds to the context, which stays whole, whatever it spreads", async () => {
    const seen: (CallContext & { user?: string })[] = [];
    const serve: ServeUnary = async (_, context) => seen.push(context);
    const context = aContext();
    await foreignLayer(naming as ServerMiddleware).unary(serve, unary)("request", context);
    expect(seen[0]?.user).toBe("ann");
    expect(seen[0]?.metadata.get("a")).toBe("b");
    expect(seen[0]?.identity.key).toBe("peer:10.0.0.7");
    expect(seen[0]?.remainingMs()).toBe(Number.POSITIVE_INFINITY);
    expect(seen[0]?.signal).toBe(context.signal);
  });

  test("sees the method, and may change request and response: unary", async () => {
    const seen: unknown[] = [];
    const changing: ServerMiddleware = async function* changing(call, context) {
      seen.push(call.method, call.requestStream, call.responseStream, call.request);
      const response = yield* call.next("changed" as never, context);
      return `${response}!` as never;
    };
    const serve: ServeUnary = async (request) => `${request}`;
    expect(await foreignLayer(changing).unary(serve, unary)("request", aContext())).toBe("changed!");
    const described = { path: unary.path, requestStream: false, responseStream: false, options: {} };
    expect(seen).toEqual([described, false, false, "request"]);
  });

  test("sees the method, and may change messages: stream", async () => {
    const seen: unknown[] = [];
    const doubling: ServerMiddleware = async function* doubling(call, context) {
      seen.push(call.method.options, call.responseStream);
      for await (const message of call.next(call.request, context)) yield (Number(message) * 2) as never;
    };
    const serve: ServeStream = () => ReadableStream.from([1, 2]);
    const messages = foreignLayer(doubling).stream(serve, stream)("request", aContext());
    expect(await Array.fromAsync(messages)).toEqual([2, 4]);
    expect(seen).toEqual([{ idempotencyLevel: "NO_SIDE_EFFECTS" }, true]);
  });

  test("that yields where one message is returned is told so", async () => {
    const yielding: ServerMiddleware = async function* yielding() {
      yield "message" as never;
    };
    const served = foreignLayer(yielding).unary(async () => "", unary)("request", aContext());
    await expect(served).rejects.toEqual(
      new TypeError("/test.Service/unary: a middleware yielded a message; a unary method returns one"),
    );
  });

  test("may refuse, and what a handler throws comes through it", async () => {
    const error = new Error("from the handler");
    const serve: ServeUnary = () => Promise.reject(error);
    await expect(foreignLayer(naming as ServerMiddleware).unary(serve, unary)("request", aContext())).rejects.toBe(
      error,
    );
  });
});
