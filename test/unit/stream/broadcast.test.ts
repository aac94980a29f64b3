import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import { fail, RpcError, Status } from "bowline";
import { type BroadcastOptions, createBroadcast, type Subscription } from "bowline/stream";
import { describe, expect, test, vi } from "vitest";
import { rejection } from "../../support/orders.ts";

const DONE = { done: true, value: undefined };
const value = (message: number) => ({ done: false, value: message });

/** A broadcast of numbers that are their own cursors. */
function numbers(options: Partial<BroadcastOptions<number, number>> = {}) {
  return createBroadcast<number, number>({ cursorOf: (message) => message, startAfter: 0, ...options });
}

/** Reads so many messages. */
async function take(subscription: Subscription<number, number>, count: number): Promise<unknown[]> {
  const read: unknown[] = [];
  while (read.length < count) read.push((await subscription.next()).value);
  return read;
}

/** A replay whose steps the test answers, one question at a time. */
function heldReplay() {
  const questions: PromiseWithResolvers<number | undefined>[] = [];
  const notes: string[] = [];
  const replay = (after: number, signal: AbortSignal): AsyncIterable<number> => ({
    [Symbol.asyncIterator]: () => {
      notes.push(`after ${after}`);
      signal.addEventListener("abort", () => notes.push("aborted"));
      return {
        async next() {
          const question = Promise.withResolvers<number | undefined>();
          questions.push(question);
          const message = await question.promise;
          return message === undefined ? { done: true, value: message } : { done: false, value: message };
        },
        async return() {
          notes.push("returned");
          return { done: true, value: undefined };
        },
      };
    },
  });
  return { replay, questions, notes };
}

describe("publish and next", () => {
  test("a pending read gets the next message, and later ones come in order", async () => {
    const broadcast = numbers();
    const subscription = broadcast.subscribe();
    const first = subscription.next();
    expect([1, 2, 3].map((message) => broadcast.publish(message))).toEqual([true, true, true]);
    expect(await first).toEqual(value(1));
    expect(await take(subscription, 2)).toEqual([2, 3]);
  });

  test("concurrent reads are answered in their order", async () => {
    const broadcast = numbers();
    const subscription = broadcast.subscribe();
    const reads = [1, 2, 3].map(() => subscription.next());
    broadcast.publish(1);
    broadcast.publish(2);
    await subscription.return();
    expect(await Promise.all(reads)).toEqual([value(1), value(2), DONE]);
  });

  test("what was published between subscribe and the first read comes too", async () => {
    const broadcast = numbers();
    broadcast.publish(1);
    const subscription = broadcast.subscribe();
    broadcast.publish(2);
    expect(await take(subscription, 1)).toEqual([2]);
  });

  test("a burst wakes a waiting subscriber once", async () => {
    const broadcast = numbers();
    const filter = vi.fn(() => true);
    const subscription = broadcast.subscribe({ filter });
    const first = subscription.next();
    for (const message of [1, 2, 3]) broadcast.publish(message);
    expect(filter).toHaveBeenCalledTimes(1);
    await first;
    expect(filter).toHaveBeenCalledTimes(1);
  });

  test("what was published before is not taken again, and counted", async () => {
    const broadcast = numbers();
    expect([1, 1, 2, 1].map((message) => broadcast.publish(message))).toEqual([true, false, true, false]);
    expect(broadcast.stats()).toMatchObject({ published: 2, repeated: 2 });
  });

  test("what comes out of order is refused, and nobody else hears of it", async () => {
    const broadcast = numbers();
    const subscription = broadcast.subscribe();
    broadcast.publish(1);
    broadcast.publish(3);
    expect(() => broadcast.publish(2)).toThrow("published out of order: 2 after 3");
    expect(await take(subscription, 2)).toEqual([1, 3]);
  });

  test("the caller's async context is kept", async () => {
    const storage = new AsyncLocalStorage<string>();
    const broadcast = numbers();
    const seen = storage.run("reader", async () => {
      await broadcast.subscribe().next();
      return storage.getStore();
    });
    storage.run("publisher", () => broadcast.publish(1));
    expect(await seen).toBe("reader");
  });
});

describe("the filter", () => {
  test("one that throws ends its own subscription alone", async () => {
    const broadcast = numbers();
    const filter = () => {
      throw new Error("filter");
    };
    const [bad, good] = [broadcast.subscribe({ filter }), broadcast.subscribe()];
    const reads = [bad.next(), good.next()];
    expect(broadcast.publish(1)).toBe(true);
    expect(await Promise.allSettled(reads)).toEqual([
      { status: "rejected", reason: new Error("filter") },
      { status: "fulfilled", value: value(1) },
    ]);
    expect(await bad.next()).toEqual(DONE);
    expect(broadcast.stats().subscribers).toBe(1);
  });

  test("one that publishes, and reads on, upsets no order", async () => {
    const broadcast = numbers();
    const reads: Promise<unknown>[] = [];
    const subscription = broadcast.subscribe({
      filter: (message) => {
        if (message === 1) {
          broadcast.publish(2);
          reads.push(subscription.next());
        }
        return true;
      },
    });
    const other = broadcast.subscribe();
    reads.push(subscription.next());
    const others = [other.next(), other.next()];
    broadcast.publish(1);
    expect(await Promise.all(reads)).toEqual([value(1), value(2)]);
    expect(await Promise.all(others)).toEqual([value(1), value(2)]);
  });

  test("one that leaves gets nothing more", async () => {
    const broadcast = numbers();
    const subscription = broadcast.subscribe({
      filter: () => {
        void subscription.return();
        return true;
      },
    });
    const reads = [subscription.next(), subscription.next()];
    broadcast.publish(1);
    expect(await Promise.all(reads)).toEqual([DONE, DONE]);
  });

  test("is asked at next() of what is there already: to read on, and to leave", async () => {
    const broadcast = numbers();
    const reads: Promise<unknown>[] = [];
    const reading = broadcast.subscribe({
      filter: (message) => {
        if (message === 1) reads.push(reading.next());
        return true;
      },
    });
    const leaving = broadcast.subscribe({ filter: () => leaving.return() !== undefined });
    for (const message of [1, 2]) broadcast.publish(message);
    reads.push(reading.next(), leaving.next(), leaving.next());
    expect(await Promise.all(reads)).toEqual([value(2), value(1), DONE, DONE]);
    expect(broadcast.stats().subscribers).toBe(1);
  });
});

describe("leaving", () => {
  test("return() ends pending reads as done, and leaves no listener and no subscriber", async () => {
    const broadcast = numbers();
    const { signal } = new AbortController();
    const subscription = broadcast.subscribe({ signal });
    const reads = [subscription.next(), subscription.next()];
    expect(broadcast.stats().subscribers).toBe(1);
    expect(await subscription.return()).toEqual(DONE);
    expect(await Promise.all(reads)).toEqual([DONE, DONE]);
    expect(await subscription.next()).toEqual(DONE);
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(broadcast.stats().subscribers).toBe(0);
  });

  test("before the first read there is nothing to leave", async () => {
    const broadcast = numbers();
    const { signal } = new AbortController();
    const subscription = broadcast.subscribe({ signal });
    expect(getEventListeners(signal, "abort")).toEqual([]);
    expect(broadcast.stats().subscribers).toBe(0);
    await subscription.return();
    expect(await subscription.next()).toEqual(DONE);
  });

  test("leaving a for await, and await using, leave", async () => {
    const broadcast = numbers();
    const subscription = broadcast.subscribe();
    broadcast.publish(1);
    for await (const message of subscription) {
      expect(message).toBe(1);
      break;
    }
    {
      await using other = broadcast.subscribe();
      void other.next();
      expect(broadcast.stats().subscribers).toBe(1);
    }
    expect(broadcast.stats().subscribers).toBe(0);
  });

  test("an abort rejects the first pending read with its reason, and ends the others", async () => {
    const broadcast = numbers();
    const controller = new AbortController();
    const subscription = broadcast.subscribe({ signal: controller.signal });
    const reads = Promise.allSettled([subscription.next(), subscription.next()]);
    controller.abort("gone");
    expect(await reads).toEqual([
      { status: "rejected", reason: "gone" },
      { status: "fulfilled", value: DONE },
    ]);
    expect(broadcast.stats().subscribers).toBe(0);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test("an abort between reads is told by the next one, whatever is unread", async () => {
    const broadcast = numbers();
    const controller = new AbortController();
    const subscription = broadcast.subscribe({ signal: controller.signal });
    broadcast.publish(1);
    broadcast.publish(2);
    await subscription.next();
    controller.abort("gone");
    expect(await rejection(subscription.next())).toBe("gone");
    expect(await subscription.next()).toEqual(DONE);
  });

  test("whoever leaves between an abort and the next read is not told of it", async () => {
    const broadcast = numbers();
    const controller = new AbortController();
    const subscription = broadcast.subscribe({ signal: controller.signal });
    broadcast.publish(1);
    await subscription.next();
    controller.abort("gone");
    expect(await subscription.return()).toEqual(DONE);
    expect(await subscription.next()).toEqual(DONE);
  });

  test("a signal that has aborted already", async () => {
    const subscription = numbers().subscribe({ signal: AbortSignal.abort("gone") });
    expect(await rejection(subscription.next())).toBe("gone");
  });
});

describe("close", () => {
  test("ends each subscription when it has read what there is", async () => {
    const broadcast = numbers();
    const [waiting, behind] = [broadcast.subscribe(), broadcast.subscribe()];
    broadcast.publish(1);
    await waiting.next();
    const read = waiting.next();
    broadcast.close();
    expect(await read).toEqual(DONE);
    expect(await behind.next()).toEqual(value(1));
    expect(await behind.next()).toEqual(DONE);
    expect(broadcast.stats().subscribers).toBe(0);
  });

  test("with an error: they end with it; only the first time counts", async () => {
    const broadcast = numbers();
    const subscription = broadcast.subscribe();
    broadcast.publish(1);
    broadcast.close(new Error("source"));
    broadcast.close();
    expect(await subscription.next()).toEqual(value(1));
    expect(await rejection(subscription.next())).toEqual(new Error("source"));
    expect(await subscription.next()).toEqual(DONE);
  });

  test("a replay is read to its end first, also of those who come afterwards", async () => {
    const broadcast = numbers({ startAfter: 9, replay: (after) => [7, 8, 9].filter((message) => message > after) });
    broadcast.close();
    expect(await Array.fromAsync(broadcast.subscribe({ after: 7 }))).toEqual([8, 9]);
  });

  test("nothing is taken afterwards", () => {
    const broadcast = numbers();
    broadcast.close();
    expect(broadcast.publish(1)).toBe(false);
    expect(broadcast.stats().published).toBe(0);
  });
});

describe("whoever falls behind", () => {
  test("is disconnected with RESOURCE_EXHAUSTED, and the others are not", async () => {
    const broadcast = numbers({ maxLagMessages: 2, history: 0 });
    const [slow, fast] = [broadcast.subscribe(), broadcast.subscribe()];
    const first = [slow.next(), fast.next()];
    for (const message of [1, 2, 3]) broadcast.publish(message);
    await Promise.all(first);
    expect(await fast.next()).toEqual(value(2));
    broadcast.publish(4);
    expect(broadcast.stats()).toMatchObject({ lag: 3, held: 2 });
    const error = await rejection(slow.next());
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ reason: "SLOW_SUBSCRIBER", code: Status.RESOURCE_EXHAUSTED });
    expect((error as RpcError).details).toBe("the subscriber is 3 messages behind, more than the 2 in memory");
    expect(await take(fast, 2)).toEqual([3, 4]);
    expect(broadcast.stats()).toMatchObject({ subscribers: 1, disconnected: 1 });
  });

  test("misses the oldest and is told how many, before the next", async () => {
    const broadcast = numbers({ maxLagMessages: 2, onLag: "drop-oldest" });
    const told: unknown[] = [];
    const subscription = broadcast.subscribe({ onDropped: (count) => told.push(count) });
    for (const message of [1, 2, 3, 4, 5]) broadcast.publish(message);
    const read = subscription.next();
    expect(told).toEqual([3]);
    expect(await read).toEqual(value(4));
    expect(broadcast.stats().dropped).toBe(3);
  });

  test("what onDropped throws becomes a warning", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const broadcast = numbers({ maxLagMessages: 1, onLag: "drop-oldest" });
    const onDropped = () => {
      throw new Error("told");
    };
    const subscription = broadcast.subscribe({ onDropped });
    broadcast.publish(1);
    broadcast.publish(2);
    expect(await subscription.next()).toEqual(value(2));
    expect(warned.mock.calls.join()).toContain("onDropped threw: Error: told");
    warned.mockRestore();
  });

  test("is served from a replay", async () => {
    const replay = vi.fn((after: number) => [1, 2, 3, 4, 5, 6].filter((message) => message > after).slice(0, 2));
    const broadcast = numbers({ maxLagMessages: 2, history: 0, onLag: "replay", replay });
    const subscription = broadcast.subscribe();
    for (const message of [1, 2, 3, 4, 5, 6]) broadcast.publish(message);
    expect(await take(subscription, 6)).toEqual([1, 2, 3, 4, 5, 6]);
    // Memory has 5 and 6: no need to ask for what comes after 4.
    expect(replay.mock.calls.map(([after]) => after)).toEqual([0, 2]);
  });
});

describe("a replay", () => {
  const page = (after: number) => [1, 2, 3, 4, 5].filter((message) => message > after).slice(0, 2);
  const sources: [string, BroadcastOptions<number, number>["replay"]][] = [
    ["a page at a time", page],
    ["a page that takes a while", async (after) => page(after)],
    ["everything", (after) => [1, 2, 3, 4, 5].filter((message) => message > after)],
    [
      "an async generator",
      async function* (after) {
        yield* page(after);
      },
    ],
  ];
  test.each(sources)("comes first: %s", async (_, replay) => {
    const broadcast = numbers({ startAfter: 5, ...(replay && { replay }) });
    const subscription = broadcast.subscribe({ after: 0 });
    const read = take(subscription, 6);
    await setImmediate();
    broadcast.publish(6);
    expect(await read).toEqual([1, 2, 3, 4, 5, 6]);
    expect(subscription.cursor).toBe(6);
  });

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["undefined", Promise.resolve()],
    ["null", null],
    ["5", 5],
    ['"12"', "12"],
    ["[object Object]", {}],
  ])("that returns %s says what it returns: the subscription that asked fails", async (shown, returned) => {
    const broadcast = numbers({ startAfter: 5, replay: () => returned as never });
    const wanted = "an iterable or AsyncIterable of messages, such as an array, or a promise of one";
    const message = `a broadcast's replay returns ${wanted}; it returned ${shown}`;
    await expect(broadcast.subscribe({ after: 0 }).next()).rejects.toThrow(new TypeError(message));
    expect(broadcast.stats().subscribers).toBe(0);
  });

  test("is not asked for what memory has", async () => {
    const replay = vi.fn(() => []);
    const broadcast = numbers({ replay });
    for (const message of [1, 2, 3]) broadcast.publish(message);
    expect(await take(broadcast.subscribe({ after: 1 }), 2)).toEqual([2, 3]);
    expect(replay).not.toHaveBeenCalled();
  });

  test("is left as soon as memory has the rest", async () => {
    const { replay, questions, notes } = heldReplay();
    const broadcast = numbers({ startAfter: 2, replay });
    const subscription = broadcast.subscribe({ after: 0 });
    const read = take(subscription, 3);
    await setImmediate();
    broadcast.publish(3);
    questions[0]?.resolve(1);
    await setImmediate();
    expect(broadcast.stats()).toMatchObject({ replaying: 1, lag: 0 });
    questions[1]?.resolve(2);
    expect(await read).toEqual([1, 2, 3]);
    expect(notes).toEqual(["after 0", "aborted", "returned"]);
    expect(broadcast.stats().replaying).toBe(0);
  });

  test("is read no further than it is asked for", async () => {
    const { replay, questions } = heldReplay();
    const subscription = numbers({ startAfter: 9, replay }).subscribe({ after: 0 });
    const read = subscription.next();
    await setImmediate();
    questions[0]?.resolve(1);
    expect(await read).toEqual(value(1));
    await setImmediate();
    expect(questions.length).toBe(1);
  });

  test("is left by a subscriber that leaves in its middle, whose reads end as done", async () => {
    const { replay, questions, notes } = heldReplay();
    const broadcast = numbers({ startAfter: 9, replay });
    const subscription = broadcast.subscribe({ after: 0 });
    const reads = [subscription.next(), subscription.next()];
    await setImmediate();
    await subscription.return();
    expect(await Promise.all(reads)).toEqual([DONE, DONE]);
    expect(notes).toEqual(["after 0", "aborted", "returned"]);
    questions[0]?.resolve(1);
    await setImmediate();
    expect(questions.length).toBe(1);
    expect(broadcast.stats()).toMatchObject({ subscribers: 0, replaying: 0 });
  });

  test("is left when its subscriber left before it could be opened", async () => {
    const opened = Promise.withResolvers<AsyncIterable<number>>();
    const { replay, notes, questions } = heldReplay();
    const subscription = numbers({ startAfter: 9, replay: () => opened.promise }).subscribe({ after: 0 });
    const read = subscription.next();
    await subscription.return();
    opened.resolve(replay(0, new AbortController().signal));
    expect(await read).toEqual(DONE);
    await setImmediate();
    expect(notes).toEqual(["after 0", "returned"]);
    expect(questions).toEqual([]);
  });

  test("that throws when it is left becomes a warning", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const iterator = {
      next: () => ({ done: false as const, value: 1 }),
      return() {
        throw new Error("closing");
      },
    };
    const replay = () => ({ [Symbol.iterator]: () => iterator });
    const subscription = numbers({ startAfter: 9, replay }).subscribe({ after: 0 });
    await subscription.next();
    expect(await subscription.return()).toEqual(DONE);
    await setImmediate();
    expect(warned.mock.calls.join()).toContain("replay threw when it was left: Error: closing");
    warned.mockRestore();
  });

  const refuse = () => fail("OUT_OF_RANGE", "compacted");
  const failures: [string, BroadcastOptions<number, number>["replay"]][] = [
    ["throws", refuse],
    ["rejects", async () => refuse()],
    ["throws at its first step", () => ({ [Symbol.iterator]: () => ({ next: refuse }) })],
    [
      "throws later",
      async function* () {
        yield 0;
        refuse();
      },
    ],
  ];
  test.each(failures)("that %s ends the subscription that asked, alone, with that error", async (_, replay) => {
    const broadcast = numbers({ startAfter: 9, ...(replay && { replay }) });
    const [asking, other] = [broadcast.subscribe({ after: 0 }), broadcast.subscribe()];
    const error = await rejection(asking.next());
    expect(error).toMatchObject({ code: Status.OUT_OF_RANGE, reason: "REFUSED", details: "compacted" });
    expect(await asking.next()).toEqual(DONE);
    const read = other.next();
    broadcast.publish(10);
    expect(await read).toEqual(value(10));
    expect(broadcast.stats().subscribers).toBe(1);
  });

  test("that is out of order ends its subscription, and is returned", async () => {
    const { replay, questions, notes } = heldReplay();
    const subscription = numbers({ startAfter: 9, replay }).subscribe({ after: 0 });
    const reads = [subscription.next(), subscription.next()];
    await setImmediate();
    questions[0]?.resolve(2);
    await setImmediate();
    questions[1]?.resolve(1);
    expect(await Promise.allSettled(reads)).toMatchObject([
      { value: value(2) },
      { reason: new RangeError("the replay is out of order: 1 after 2") },
    ]);
    expect(notes).toEqual(["after 0", "aborted", "returned"]);
  });

  test("of a subscriber's own goes before the broadcast's", async () => {
    const broadcast = numbers({ startAfter: 9, replay: () => [1, 3, 9] });
    const subscription = broadcast.subscribe({ after: 0, replay: (after) => [2, 9].filter((one) => one > after) });
    expect(await take(subscription, 2)).toEqual([2, 9]);
  });

  test("without one, what memory does not have is OUT_OF_RANGE", async () => {
    const error = await rejection(numbers({ startAfter: 9 }).subscribe({ after: 8 }).next());
    expect(error).toMatchObject({ code: Status.OUT_OF_RANGE, details: "what came after 8 is no longer kept" });
  });
});

describe("cursors", () => {
  test("a subscription says where it begins, if anybody knows", () => {
    expect(numbers({ startAfter: 7 }).subscribe().cursor).toBe(7);
    expect(numbers({ startAfter: 7 }).subscribe({ after: 3 }).cursor).toBe(3);
    expect(numbers({ startAfter: undefined }).subscribe().cursor).toBeUndefined();
  });

  test.each([
    ["bigints", [1n, 2n, 10n]],
    ["numbers", [1, 2, 10]],
    ["strings", ["a1", "a10", "a2"]],
  ])("%s are compared by their order", async (_, cursors) => {
    const broadcast = createBroadcast({ cursorOf: (message: bigint | number | string) => message });
    expect(cursors.map((cursor) => broadcast.publish(cursor))).toEqual([true, true, true]);
    const [first, ...rest] = cursors;
    const subscription = broadcast.subscribe({ after: first });
    broadcast.close();
    expect(await Array.fromAsync(subscription)).toEqual(rest);
  });

  test("anything is, with compare", async () => {
    const compare = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b);
    const broadcast = createBroadcast({ cursorOf: (message: Uint8Array) => message, compare });
    const [one, two] = [new Uint8Array([1]), new Uint8Array([2])];
    broadcast.publish(one);
    broadcast.publish(two);
    expect(await broadcast.subscribe({ after: new Uint8Array([1]) }).next()).toEqual({ done: false, value: two });
  });

  test.each([Number.NaN, undefined, null, {}])("%s is none", (cursor) => {
    const broadcast = createBroadcast({ cursorOf: () => cursor });
    expect(() => broadcast.publish(1)).toThrow(
      new TypeError(`what cursorOf returns must be a bigint, number or string, or compare be given; it is ${cursor}`),
    );
  });
});

describe("options", () => {
  const cursorOf = () => 1;
  test.each<[string, object | undefined, string]>([
    [
      "none",
      undefined,
      "the options must be an object; they are undefined; cursorOf must be given: it says where a message stands",
    ],
    ["nothing", {}, "cursorOf must be given: it says where a message stands"],
    [
      "a name",
      { cursorOf, filter: 1 },
      "there is no option filter; there are cursorOf, compare, startAfter, history, maxLagMessages, onLag, replay",
    ],
    ["a history", { cursorOf, history: -1 }, "history must be a whole number of at least 0; it is -1"],
    ["half of one", { cursorOf, history: 0.5 }, "history must be a whole number of at least 0; it is 0.5"],
    [
      "no bound",
      { cursorOf, history: Number.POSITIVE_INFINITY },
      "history must be a whole number of at least 0; it is Infinity",
    ],
    ["a lag", { cursorOf, maxLagMessages: 0 }, "maxLagMessages must be a whole number of at least 1; it is 0"],
    ["a policy", { cursorOf, onLag: "block" }, 'onLag must be disconnect or drop-oldest or replay; it is "block"'],
    ["replay without one", { cursorOf, onLag: "replay" }, 'onLag "replay" takes replay'],
    [
      "a start",
      { cursorOf, startAfter: {} },
      "startAfter must be a bigint, number or string, or compare be given; it is [object Object]",
    ],
    [
      "several",
      { cursorOf: 1, replay: [], compare: "a" },
      'cursorOf must be a function; it is 1; replay must be a function; it is ; compare must be a function; it is "a"',
    ],
  ])("createBroadcast: %s", (_, options, problems) => {
    expect(() => createBroadcast(options as never)).toThrow(new TypeError(`createBroadcast: ${problems}`));
  });

  test.each<[string, object | null, string]>([
    ["null", null, "the options must be an object; they are null"],
    ["a cursor", { after: Number.NaN }, "after must be a bigint, number or string, or compare be given; it is NaN"],
    [
      "several",
      { filter: 1, signal: {}, from: 1 },
      "filter must be a function; it is 1; signal must be an AbortSignal; it is [object Object]; there is no option from; there are after, filter, replay, signal, onDropped",
    ],
  ])("subscribe: %s", (_, options, problems) => {
    expect(() => numbers().subscribe(options as never)).toThrow(new TypeError(`subscribe: ${problems}`));
  });

  test("what is undefined is left out", () => {
    const nothing = { compare: undefined, startAfter: undefined, history: undefined, onLag: undefined };
    const broadcast = createBroadcast({ cursorOf: (message: number) => message, ...nothing });
    expect(broadcast.subscribe({ after: undefined, filter: undefined, signal: undefined }).cursor).toBeUndefined();
  });
});

test("what it has come to", async () => {
  const broadcast = numbers({ history: 2, maxLagMessages: 2 });
  const subscription = broadcast.subscribe();
  for (const message of [1, 2]) broadcast.publish(message);
  void subscription.next();
  expect(broadcast.stats()).toEqual({
    subscribers: 1,
    replaying: 0,
    published: 2,
    repeated: 0,
    dropped: 0,
    disconnected: 0,
    held: 2,
    lag: 1,
  });
});
