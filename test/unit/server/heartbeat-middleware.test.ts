import { describe, expect, test } from "vitest";
import { type HeartbeatMiddlewareOptions, heartbeat } from "../../../src/server/heartbeat-middleware.ts";
import { fakeClock } from "../../../src/testing/index.ts";

const path = "/test.Service/Watch";
const methods = [path];
const method = { path, requestStream: false, responseStream: true, options: {} };

/** What a middleware makes of a call whose handler has nothing to say. */
function serve(middleware: ReturnType<typeof heartbeat>, changes: object = {}) {
  const seen: { signal: AbortSignal; user?: string }[] = [];
  const handler = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
  const next = (_: unknown, context: { signal: AbortSignal }) => {
    seen.push(context);
    return handler;
  };
  const call = { method: { ...method, ...changes }, request: {}, responseStream: true, ...changes, next };
  const signal = new AbortController().signal;
  const stream: AsyncIterable<unknown> = middleware(call as never, { signal, user: "ann" } as never);
  return { stream, handler, seen, signal };
}

describe("heartbeat()", () => {
  test("sends an object with the field, every 10 s unless it is told otherwise", async () => {
    const clock = fakeClock();
    const { stream, seen, signal } = serve(heartbeat({ methods, field: "beat", clock }));
    const iterator = stream[Symbol.asyncIterator]();
    const next = iterator.next();
    await clock.advance(9_999);
    expect(await Promise.race([next, "pending"])).toBe("pending");
    await clock.advance(1);
    expect(await next).toEqual({ done: false, value: { beat: true } });
    await iterator.return?.();
    expect(seen).toMatchObject([{ user: "ann", signal: { aborted: true } }]);
    expect(signal.aborted).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test.each([
    ["another method", { path: "/test.Service/List" }],
    ["a method with one response", { responseStream: false }],
  ])("hands on %s as it is", (_, changes) => {
    const { stream, handler, seen, signal } = serve(heartbeat({ methods, field: "beat" }), changes);
    expect(stream).toBe(handler);
    expect(seen[0]?.signal).toBe(signal);
  });

  test.each<[string, unknown, string]>([
    ["nothing", undefined, "the options must be an object; they are undefined"],
    ["no methods", { field: "beat" }, "methods is missing: name the streams, by path"],
    ["no such method", { methods: [], field: "beat" }, "methods must be an array of paths, such as /package.S"],
    ["a name for a path", { methods: ["Watch"], field: "beat" }, 'it is ["Watch"]'],
    ["a path for methods", { methods: path, field: "beat" }, `it is "${path}"`],
    ["neither field nor message", { methods }, "either field or message must be given"],
    ["both of them", { methods, field: "beat", message: () => ({}) }, "either field or message must be given"],
    ["an empty field", { methods, field: "" }, 'field must name a field; it is ""'],
    ["a message that is none to make", { methods, message: {} }, "message must be a function; it is [object Object]"],
    ["too short an interval", { methods, field: "beat", intervalMs: 9 }, "intervalMs must be at least 10 ms"],
    ["an interval that is no number", { methods, field: "beat", intervalMs: "1s" }, 'must be a number; it is "1s"'],
    ["not a number", { methods, field: "beat", intervalMs: Number.NaN }, "intervalMs must be at least 10 ms"],
    ["a bigint", { methods, field: 1n }, "field must name a field; it is 1"],
    ["no clock", { methods, field: "beat", clock: 1 }, "clock must be an object; it is 1"],
    ["an unknown option", { methods, field: "beat", interval: 10 }, "there is no option interval; there are methods,"],
  ])("refuses %s", (_, options, problem) => {
    const make = () => heartbeat(options as HeartbeatMiddlewareOptions);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(`heartbeat: `);
    expect(make).toThrow(problem);
  });

  test("says all that is wrong at once", () => {
    const make = () => heartbeat({ methods: ["Watch"], intervalMs: 1, missed: 3 } as never);
    expect(make).toThrow(/methods must.*; intervalMs must.*; there is no option missed.*; either field or message/);
  });
});
