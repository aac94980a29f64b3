import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { sleep } from "../../../src/core/clock.ts";
import { withHeartbeats } from "../../../src/server/heartbeat-stream.ts";
import { fakeClock } from "../../../src/testing/index.ts";

const INTERVAL_MS = 100;
const beat = { done: false, value: "heartbeat" };
const done = { done: true, value: undefined };
const message = (value: unknown) => ({ done: false, value });

type Handler = (signal: AbortSignal) => AsyncIterable<unknown>;

/** A handler's stream with heartbeats. Whatever the test does with it, no timer may be left. */
function open(handler: Handler, { make = (): unknown => "heartbeat", signal = new AbortController().signal } = {}) {
  const clock = fakeClock();
  const setTimer = vi.spyOn(clock, "setTimer");
  const seen: AbortSignal[] = [];
  const heartbeats = { intervalMs: INTERVAL_MS, clock, message: make };
  const stream = withHeartbeats(signal, heartbeats, (own) => {
    seen.push(own);
    return handler(own);
  });
  onTestFinished(() => expect(clock.pending).toBe(0));
  return { clock, setTimer, stream, signal: () => seen[0] ?? expect.unreachable("the handler was not opened") };
}

/** A handler whose steps the test takes, and what it was asked for. */
function stepped(changes: Partial<AsyncIterator<unknown>> = {}) {
  const steps: PromiseWithResolvers<IteratorResult<unknown>>[] = [];
  const next = vi.fn(() => {
    const step = Promise.withResolvers<IteratorResult<unknown>>();
    steps.push(step);
    return step.promise;
  });
  const returned = vi.fn(async () => done as IteratorResult<unknown>);
  const iterator = { next, return: returned, ...changes };
  const step = (index: number) => steps[index] ?? expect.unreachable(`there is no step ${index}`);
  return { handler: () => ({ [Symbol.asyncIterator]: () => iterator }), next, returned, step };
}

/** A generator that waits until it is aborted, with a note of what it did. */
function waiting(noted: string[]): Handler {
  return async function* (signal) {
    try {
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      yield "never";
    } catch (error) {
      noted.push(`fails with ${error instanceof Error ? error.name : error}`);
      throw error;
    } finally {
      noted.push("cleans up");
    }
  };
}

/** What a promise came to by now. */
async function stateOf(promise: Promise<unknown>): Promise<unknown> {
  await setImmediate();
  return Promise.race([promise, "pending"]);
}

describe("a heartbeat comes when the handler has yielded nothing for the interval", () => {
  test("not before, also before the first message, and again after another one", async () => {
    const { handler, step } = stepped();
    const { clock, stream } = open(handler);
    for (const _ of [1, 2]) {
      const next = stream.next();
      await clock.advance(INTERVAL_MS - 1);
      expect(await stateOf(next)).toBe("pending");
      await clock.advance(1);
      expect(await stateOf(next)).toEqual(beat);
    }
    step(0).resolve(message("a"));
    expect(await stream.next()).toEqual(message("a"));
    await stream.return?.();
  });

  test("counted from when the last message went, to the millisecond", async () => {
    const { handler, step } = stepped();
    const { clock, stream } = open(handler);
    const first = stream.next();
    await clock.advance(60);
    step(0).resolve(message("a"));
    await first;
    const second = stream.next();
    await clock.advance(INTERVAL_MS - 1);
    expect(await stateOf(second)).toBe("pending");
    await clock.advance(1);
    expect(await stateOf(second)).toEqual(beat);
    await stream.return?.();
  });

  test("never from a handler that is busy, which costs a timer for each interval and none for each message", async () => {
    const { clock, setTimer, stream } = open(async function* () {
      for (let at = 0; at < 1_000; at += 1) {
        await sleep(clock, 1);
        yield at;
      }
    });
    const read = Array.fromAsync(stream);
    await clock.advance(1_000);
    expect(await read).toEqual(Array.from({ length: 1_000 }, (_, at) => at));
    expect(setTimer.mock.calls.filter(([delayMs]) => delayMs > 1).length).toBeLessThanOrEqual(1_000 / INTERVAL_MS + 1);
  });

  test("never while nobody waits for a message: not before the first next(), and not to a slow reader", async () => {
    const { handler, next, step } = stepped();
    const { clock, stream } = open(handler);
    await clock.advance(10 * INTERVAL_MS);
    expect(next).not.toHaveBeenCalled();
    const first = stream.next();
    step(0).resolve(message("a"));
    await first;
    await clock.advance(10 * INTERVAL_MS);
    expect(clock.pending).toBe(0);
    const second = stream.next();
    await clock.advance(INTERVAL_MS - 1);
    expect(await stateOf(second)).toBe("pending");
    step(1).resolve(message("b"));
    expect(await second).toEqual(message("b"));
    await stream.return?.();
  });

  test("each is a message of its own", async () => {
    const { clock, stream } = open(stepped().handler, { make: () => ({ heartbeat: true }) });
    const beats: unknown[] = [];
    for (const _ of [1, 2]) {
      const next = stream.next();
      await clock.advance(INTERVAL_MS);
      beats.push((await next).value);
    }
    expect(beats[0]).toEqual(beats[1]);
    expect(beats[0]).not.toBe(beats[1]);
    await stream.return?.();
  });
});

describe("the handler's step goes on while its reader is away with a heartbeat", () => {
  const away = async () => {
    const source = stepped();
    const set = open(source.handler);
    const next = set.stream.next();
    await set.clock.advance(INTERVAL_MS);
    expect(await next).toEqual(beat);
    return { ...source, ...set };
  };

  test("its message is kept for the next reader, and nothing is asked for twice", async () => {
    const { stream, step, next } = await away();
    step(0).resolve(message("a"));
    await setImmediate();
    expect(next).toHaveBeenCalledTimes(1);
    expect(await stream.next()).toEqual(message("a"));
    const second = stream.next();
    expect(next).toHaveBeenCalledTimes(2);
    step(1).resolve(done);
    expect(await second).toEqual(done);
  });

  test("so is its end", async () => {
    const { stream, step } = await away();
    step(0).resolve({ done: true, value: "ignored" });
    await setImmediate();
    expect(await stream.next()).toEqual(done);
    expect(await stream.next()).toEqual(done);
  });

  test("so is its failure, once", async () => {
    const { stream, step } = await away();
    const error = new Error("from the handler");
    step(0).reject(error);
    await setImmediate();
    await expect(stream.next()).rejects.toBe(error);
    expect(await stream.next()).toEqual(done);
  });

  test("its failure reaches whoever leaves instead of reading on", async () => {
    const { stream, step, returned } = await away();
    const error = new DOMException("a fetch of the handler's gave up", "AbortError");
    step(0).reject(error);
    await setImmediate();
    await expect(stream.return?.()).rejects.toBe(error);
    expect(returned).not.toHaveBeenCalled();
    expect(await stream.return?.()).toEqual(done);
  });

  test("a message that nobody comes back for is dropped, and the handler left", async () => {
    const { stream, step, returned, signal } = await away();
    step(0).resolve(message("a"));
    await setImmediate();
    expect(await stream.return?.()).toEqual(done);
    expect(returned).toHaveBeenCalledTimes(1);
    expect(signal().aborted).toBe(false);
    expect(await stream.next()).toEqual(done);
  });
});

describe("leaving", () => {
  test("before the first next() begins nothing", async () => {
    const { handler, next, returned } = stepped();
    const { stream, signal } = open(handler);
    expect(await stream.return?.()).toEqual(done);
    expect(await stream.next()).toEqual(done);
    expect(next).not.toHaveBeenCalled();
    expect(returned).toHaveBeenCalledTimes(1);
    expect(signal().aborted).toBe(false);
  });

  test("at a message lets the handler clean up, and aborts nothing", async () => {
    const noted: string[] = [];
    const { stream, signal } = open(async function* () {
      try {
        yield 1;
        yield 2;
      } finally {
        noted.push("cleans up");
      }
    });
    for await (const _ of stream) break;
    expect(noted).toEqual(["cleans up"]);
    expect(signal().aborted).toBe(false);
  });

  test("at a heartbeat aborts the handler's signal, and waits until it has cleaned up", async () => {
    const noted: string[] = [];
    const { clock, stream } = open(waiting(noted));
    const next = stream.next();
    await clock.advance(INTERVAL_MS);
    expect(await next).toEqual(beat);
    expect(await stream.return?.()).toEqual(done);
    expect(noted).toEqual(["fails with AbortError", "cleans up"]);
  });

  test("while a next() is pending ends that as done", async () => {
    const noted: string[] = [];
    const { stream } = open(waiting(noted));
    const next = stream.next();
    const left = stream.return?.();
    expect(await next).toEqual(done);
    expect(await left).toEqual(done);
    expect(noted).toEqual(["fails with AbortError", "cleans up"]);
  });

  test("drops the message of a handler that takes no notice of its signal, but not its failure", async () => {
    const gate = Promise.withResolvers<void>();
    const error = new Error("could not clean up");
    const { stream } = open(async function* () {
      try {
        await gate.promise;
        yield "too late";
      } finally {
        // biome-ignore lint/correctness/noUnsafeFinally: this is what a handler may do wrong
        throw error;
      }
    });
    const next = stream.next();
    const left = stream.return?.();
    expect(await next).toEqual(done);
    gate.resolve();
    await expect(left).rejects.toBe(error);
  });

  test("throws what the handler fails with meanwhile, unless that is the abort", async () => {
    const error = new Error("while aborting");
    const { stream } = open(async function* (signal) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      yield* [];
      throw error;
    });
    const next = stream.next();
    await expect(stream.return?.()).rejects.toBe(error);
    expect(await next).toEqual(done);
  });

  test("throws what the handler's return() throws", async () => {
    const error = new Error("from return()");
    const { handler } = stepped({ return: () => Promise.reject(error) });
    const { stream } = open(handler);
    await expect(stream.return?.()).rejects.toBe(error);
    expect(await stream.next()).toEqual(done);
  });

  test("takes iterators that have no return(), or answer it in the middle of a step", async () => {
    for (const changes of [{ return: undefined as never }, {}]) {
      const { handler } = stepped(changes);
      const { stream, signal } = open(handler);
      const next = stream.next();
      expect(await stream.return?.()).toEqual(done);
      expect(await next).toEqual(done);
      expect(signal().aborted).toBe(true);
    }
  });

  test("with throw() leaves the handler too, and throws that", async () => {
    const noted: string[] = [];
    const { clock, stream } = open(waiting(noted));
    const next = stream.next();
    await clock.advance(INTERVAL_MS);
    await next;
    await expect(stream.throw?.("unsendable")).rejects.toBe("unsendable");
    expect(noted).toEqual(["fails with AbortError", "cleans up"]);
    expect(await stream.next()).toEqual(done);
  });

  test("after the end asks nothing of the handler", async () => {
    const { handler, step, returned } = stepped();
    const { stream } = open(handler);
    const next = stream.next();
    step(0).resolve(done);
    await next;
    expect(await stream.return?.()).toEqual(done);
    expect(returned).not.toHaveBeenCalled();
  });
});

describe("the call's own signal", () => {
  test("aborts the handler's with its reason, and there are no heartbeats any more", async () => {
    const controller = new AbortController();
    const { handler, step } = stepped();
    const { clock, stream, signal } = open(handler, { signal: controller.signal });
    const next = stream.next();
    controller.abort("the client left");
    expect(signal()).toMatchObject({ aborted: true, reason: "the client left" });
    await clock.advance(10 * INTERVAL_MS);
    expect(await stateOf(next)).toBe("pending");
    expect(clock.pending).toBe(0);
    step(0).reject(signal().reason);
    await expect(next).rejects.toBe("the client left");
  });

  test("may have aborted before the handler is opened", () => {
    const { signal } = open(stepped().handler, { signal: AbortSignal.abort("too late") });
    expect(signal()).toMatchObject({ aborted: true, reason: "too late" });
  });

  test("has one listener, and is not aborted by leaving", async () => {
    const controller = new AbortController();
    const { stream } = open(stepped().handler, { signal: controller.signal });
    expect(getEventListeners(controller.signal, "abort")).toHaveLength(1);
    const next = stream.next();
    await stream.return?.();
    await next;
    expect(controller.signal.aborted).toBe(false);
  });
});

describe("several next() at once", () => {
  test("are answered in the order in which they were asked, heartbeats included", async () => {
    const { handler, next, step } = stepped();
    const { clock, stream } = open(handler);
    const asked: string[] = [];
    const ask = async (name: string, then?: () => unknown): Promise<void> => {
      await stream.next().then(({ value }) => {
        asked.push(`${name} ${value}`);
        return then?.();
      });
    };
    const all = [ask("first", () => ask("fourth")), ask("second"), ask("third")];
    expect(next).toHaveBeenCalledTimes(1);
    await clock.advance(INTERVAL_MS);
    for (const at of [0, 1, 2]) {
      step(at).resolve(message(at));
      await setImmediate();
    }
    await Promise.all(all);
    expect(asked).toEqual(["first heartbeat", "second 0", "third 1", "fourth 2"]);
    await stream.return?.();
  });

  test("all end when one of them fails", async () => {
    const { handler, step } = stepped();
    const { stream } = open(handler);
    const [first, ...rest] = [stream.next(), stream.next(), stream.next()];
    step(0).reject(new Error("no"));
    await expect(first).rejects.toThrow("no");
    expect(await Promise.all(rest)).toEqual([done, done]);
  });

  test("all end when the stream is left", async () => {
    const { handler } = stepped();
    const { stream } = open(handler);
    const all = [stream.next(), stream.next(), stream.next()];
    await stream.return?.();
    expect(await Promise.all(all)).toEqual([done, done, done]);
  });
});

describe("what goes wrong", () => {
  test("a next() that throws, or answers without a promise, is taken as it is meant", async () => {
    const error = new Error("at once");
    const throwing = open(
      stepped({
        next: () => {
          throw error;
        },
      }).handler,
    );
    await expect(throwing.stream.next()).rejects.toBe(error);
    const plain = open(stepped({ next: () => message("a") as never }).handler);
    expect(await plain.stream.next()).toEqual(message("a"));
    await plain.stream.return?.();
  });

  test("a heartbeat that cannot be made ends the stream with that, and the handler with it", async () => {
    const noted: string[] = [];
    const error = new Error("no such field");
    const make = () => {
      throw error;
    };
    const { clock, stream } = open(waiting(noted), { make });
    const next = stream.next();
    next.catch(() => {});
    await clock.advance(INTERVAL_MS);
    await expect(next).rejects.toBe(error);
    await setImmediate();
    expect(noted).toEqual(["fails with AbortError", "cleans up"]);
    expect(await stream.next()).toEqual(done);
  });
});

test("each step of the handler runs in the context of whoever reads, its finally in the middle of a step too", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const { clock, stream } = open(async function* (signal) {
    try {
      seen.push(storage.getStore());
      yield 1;
      seen.push(storage.getStore());
      await sleep(clock, 2 * INTERVAL_MS + 1);
      seen.push(storage.getStore());
      yield 2;
      seen.push(storage.getStore());
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      seen.push(storage.getStore());
      yield 3;
    } finally {
      seen.push(storage.getStore());
    }
  });
  const read: unknown[] = [];
  const reading = storage.run("call", async () => {
    for await (const value of stream) {
      read.push(value);
      if (read.length === 5) break;
    }
  });
  await clock.advance(10 * INTERVAL_MS);
  await reading;
  expect(read).toEqual([1, "heartbeat", "heartbeat", 2, "heartbeat"]);
  expect(seen).toEqual(Array(6).fill("call"));
});
