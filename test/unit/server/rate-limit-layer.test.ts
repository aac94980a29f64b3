import { expect, test, vi } from "vitest";
import type { ServedContext } from "../../../src/core/served-call.ts";
import { rateLimitLayer } from "../../../src/server/layers/rate-limit.ts";
import { aMethod } from "../../support/scripted.ts";

/** A limit in front of a handler, in a store that answers when a test says. */
function setUp() {
  const answer = Promise.withResolvers<number>();
  const layer = rateLimitLayer({
    store: { take: () => answer.promise },
    observer: undefined,
    onError: () => {},
    limitsOf: () => [{ name: "a", calls: 1, perMs: 1_000, burst: 1, key: "method" }],
  });
  const controller = new AbortController();
  const { signal } = controller;
  const time = { remainingMs: 100 };
  const context = { method: aMethod(), signal, remainingMs: () => time.remainingMs } as unknown as ServedContext;
  let runs = 0;
  const unary = layer.unary(async () => ++runs, aMethod());
  const stream = layer.stream(() => ReadableStream.from([++runs]), aMethod("server-stream"));
  const shapes = {
    unary: () => unary("request", context),
    stream: () => Array.fromAsync(stream("request", context)),
  };
  return { answer, controller, time, shapes, runs: () => runs };
}

const late = { code: 4, reason: "REFUSED", details: "the deadline passed before the handler began" };

test.each(["unary", "stream"] as const)("%s: a call whose client has left waits for no store", async (shape) => {
  const { answer, controller, shapes, runs } = setUp();
  const served = shapes[shape]();
  controller.abort("gone");
  await expect(served).rejects.toBe("gone");
  answer.resolve(0);
  await answer.promise;
  expect(runs()).toBe(0);
  await expect(shapes[shape]()).rejects.toBe("gone");
});

test.each(["unary", "stream"] as const)(
  "%s: D3 an answer that comes after the deadline runs no handler",
  async (shape) => {
    const { answer, time, shapes, runs } = setUp();
    const served = shapes[shape]();
    time.remainingMs = 0;
    answer.resolve(0);
    await expect(served).rejects.toMatchObject(late);
    expect(runs()).toBe(0);
  },
);

test.each(["unary", "stream"] as const)("%s: an answer in time does, and leaves no listener", async (shape) => {
  const { answer, controller, shapes, runs } = setUp();
  const removed = vi.spyOn(controller.signal, "removeEventListener");
  const served = shapes[shape]();
  answer.resolve(0);
  await served;
  expect(runs()).toBe(1);
  expect(removed).toHaveBeenCalledOnce();
});
