import { describe, expect, test, vi } from "vitest";
import type { CallContext } from "../../../src/core/call-context.ts";
import { requestStream } from "../../../src/server/requests.ts";

const read = (requests: AsyncIterable<unknown>, signal = new AbortController().signal) =>
  requestStream(requests, { signal } as CallContext);

describe("a client's request stream", () => {
  test("is what the client sent", async () => {
    expect(await Array.fromAsync(read(ReadableStream.from([1, 2])))).toEqual([1, 2]);
  });

  test("that ends because the call was cancelled throws its reason instead of ending", async () => {
    const controller = new AbortController();
    async function* one() {
      yield 1;
      controller.abort("client left");
    }
    const messages = read(one(), controller.signal)[Symbol.asyncIterator]();
    expect(await messages.next()).toEqual({ done: false, value: 1 });
    await expect(messages.next()).rejects.toBe("client left");
  });

  test("whose cancellation arrives just after its end throws its reason too", async () => {
    const controller = new AbortController();
    const messages = read(ReadableStream.from([]), controller.signal)[Symbol.asyncIterator]();
    const end = messages.next();
    controller.abort("client left");
    await expect(end).rejects.toBe("client left");
  });

  test.each([
    ["its own error", false, "broken"],
    ["the reason, if the call was cancelled", true, "client left"],
  ])("that breaks throws %s", async (_, aborted, reason) => {
    const signal = aborted ? AbortSignal.abort("client left") : new AbortController().signal;
    const next = () => Promise.reject("broken");
    const messages = read({ [Symbol.asyncIterator]: () => ({ next }) }, signal);
    await expect(messages[Symbol.asyncIterator]().next()).rejects.toBe(reason);
  });

  test("that a handler leaves is left", async () => {
    const left = vi.fn();
    async function* endless() {
      try {
        for (;;) yield 1;
      } finally {
        left();
      }
    }
    for await (const _ of read(endless())) break;
    expect(left).toHaveBeenCalledOnce();
  });

  test("may be one that cannot be left", async () => {
    const next = async () => ({ done: false as const, value: 1 });
    for await (const _ of read({ [Symbol.asyncIterator]: () => ({ next }) })) break;
  });
});
