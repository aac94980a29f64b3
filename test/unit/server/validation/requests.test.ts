import { describe, expect, test } from "vitest";
import { checkedRequests } from "../../../../src/server/validation/refusal.ts";

const WRONG = new TypeError("wrong");

function accept(request: unknown): void {
  if (request === "wrong") throw WRONG;
}

/** A source that a test steps, with what was asked of it. */
function source(...requests: unknown[]) {
  const asked: string[] = [];
  let left = [...requests];
  const iterator = {
    async next() {
      asked.push("next");
      const [value, ...rest] = left;
      left = rest;
      return value === undefined ? { done: true as const, value: undefined } : { done: false as const, value };
    },
    async return() {
      asked.push("return");
      left = [];
      return { done: true as const, value: undefined };
    },
  };
  return { asked, iterator, requests: { [Symbol.asyncIterator]: () => iterator } };
}

const over = { done: true, value: undefined };

describe("requests that are checked one by one", () => {
  test("come in their order, and end", async () => {
    const { requests, asked } = source("a", "b");
    expect(await Array.fromAsync(checkedRequests(requests, accept))).toEqual(["a", "b"]);
    expect(asked).toEqual(["next", "next", "next"]);
  });

  test("end with the first that is wrong, and the source is left", async () => {
    const { requests, asked } = source("a", "wrong", "b");
    const iterator = checkedRequests(requests, accept)[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: "a" });
    await expect(iterator.next()).rejects.toBe(WRONG);
    expect(await iterator.next()).toEqual(over);
    expect(asked).toEqual(["next", "next", "return"]);
  });

  test("are left before the first was asked for", async () => {
    const { requests, asked } = source("a");
    const iterator = checkedRequests(requests, accept)[Symbol.asyncIterator]();
    expect(await iterator.return?.()).toEqual(over);
    expect(await iterator.next()).toEqual(over);
    expect(asked).toEqual(["return"]);
  });

  test("are left while one is awaited: it comes to nobody, wrong or not", async () => {
    const { requests, iterator: inner } = source();
    const first = Promise.withResolvers<{ done: false; value: unknown }>();
    inner.next = () => first.promise as never;
    const iterator = checkedRequests(requests, accept)[Symbol.asyncIterator]();
    const pending = iterator.next();
    await iterator.return?.();
    first.resolve({ done: false, value: "wrong" });
    expect(await pending).toEqual(over);
  });

  test("asked for at a time, end after the one that is wrong", async () => {
    const { requests } = source("a", "wrong", "b");
    const iterator = checkedRequests(requests, accept)[Symbol.asyncIterator]();
    const all = await Promise.allSettled([iterator.next(), iterator.next(), iterator.next()]);
    expect(all).toEqual([
      { status: "fulfilled", value: { done: false, value: "a" } },
      { status: "rejected", reason: WRONG },
      { status: "fulfilled", value: over },
    ]);
  });

  test.each<[string, () => Promise<never>]>([
    ["rejects", () => Promise.reject(new Error("cannot be left"))],
    [
      "throws",
      () => {
        throw new Error("cannot be left");
      },
    ],
  ])("are refused though the source's return() %s", async (_, leave) => {
    const { requests, iterator: inner } = source("wrong");
    inner.return = leave;
    const iterator = checkedRequests(requests, accept)[Symbol.asyncIterator]();
    await expect(iterator.next()).rejects.toBe(WRONG);
  });

  test("fail as their source fails", async () => {
    const { requests, iterator: inner } = source();
    inner.next = () => Promise.reject(WRONG);
    await expect(checkedRequests(requests, accept)[Symbol.asyncIterator]().next()).rejects.toBe(WRONG);
  });
});
