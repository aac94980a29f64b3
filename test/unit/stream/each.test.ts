import { setImmediate } from "node:timers/promises";
import { collect, filter, map, mapConcurrent, merge, type OperatorStream, take, tap } from "bowline/stream";
import { describe, expect, expectTypeOf, test } from "vitest";
import { MessageSource, readAll, sourceOf } from "../../support/message-source.ts";

test("operators fit into each other, and an async generator into them", async () => {
  async function* count() {
    for (let message = 0; ; message += 1) yield message;
  }
  const squares = map(
    filter(count(), (message) => message % 2 === 0),
    (message) => message * message,
  );
  expect(await collect(take(squares, 4), 10)).toEqual([0, 4, 16, 36]);
});

test("map and tap wait for what their callback promises before they read on", async () => {
  const source = sourceOf(1, 2);
  const work = Promise.withResolvers<string>();
  const stream = map(source, () => work.promise);
  const reads = [stream.next(), stream.next()];
  await setImmediate();
  expect(source.pulls).toBe(1);
  work.resolve("made");
  expect((await Promise.all(reads)).map(({ value }) => value)).toEqual(["made", "made"]);

  const seen = sourceOf(1, 2);
  const looking = Promise.withResolvers<void>();
  const shown = tap(seen, () => looking.promise).next();
  await setImmediate();
  looking.reject("the look");
  await expect(shown).rejects.toBe("the look");
  expect(seen.returns).toBe(1);
});

test.each<[string, (work: PromiseWithResolvers<number>) => void]>([
  ["ends well", ({ resolve }) => resolve(1)],
  ["fails", ({ reject }) => reject(new Error("too late"))],
])("a callback under way when the stream is left holds its next() up, and counts no more: it %s", async (_, settle) => {
  const source = sourceOf(1, 2);
  const work = Promise.withResolvers<number>();
  const stream = map(source, () => work.promise);
  const read = stream.next();
  await setImmediate();
  await stream.return();
  settle(work);
  expect(await read).toEqual({ done: true, value: undefined });
  expect([source.taken, source.returns]).toEqual([1, 1]);
});

test("a source whose next() fails because it is left does not fail the stream", async () => {
  const pending = Promise.withResolvers<never>();
  const source = {
    [Symbol.asyncIterator]: () => ({
      next: () => pending.promise,
      return: async () => {
        pending.reject(new Error("left"));
        return { done: true, value: undefined } as const;
      },
    }),
  };
  const stream = tap(source, () => {});
  const read = stream.next();
  await stream.return();
  expect(await read).toEqual({ done: true, value: undefined });
});

describe("filter", () => {
  test("skips any number of messages without a growing chain", async () => {
    async function* count() {
      for (let message = 0; message < 100_000; message += 1) yield message;
    }
    expect(await readAll(filter(count(), (message) => message === 99_999))).toEqual([99_999]);
  });

  test("knows what a type predicate says", () => {
    const stream = filter(sourceOf<string | number>("a", 1), (message) => typeof message === "string");
    expectTypeOf(stream).toEqualTypeOf<OperatorStream<string>>();
  });
});

describe("take", () => {
  test("leaves with the last message, not after it", async () => {
    const source = sourceOf(1, 2, 3);
    const stream = take(source, 2);
    await stream.next();
    expect(source.returns).toBe(0);
    expect((await stream.next()).value).toBe(2);
    expect(source.returns).toBe(1);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(source.pulls).toBe(2);
  });

  test("of nothing reads nothing, and leaves", async () => {
    const source = sourceOf(1);
    expect(await readAll(take(source, 0))).toEqual([]);
    expect([source.pulls, source.returns]).toEqual([0, 1]);
  });

  test("of more than there is ends with the source", async () => {
    const source = sourceOf(1, 2);
    expect(await readAll(take(source, Number.POSITIVE_INFINITY))).toEqual([1, 2]);
    expect(source.returns).toBe(0);
  });
});

describe("merge", () => {
  test("has the messages' types", () => {
    const stream = merge([sourceOf(1), sourceOf("a")]);
    expectTypeOf(stream).toEqualTypeOf<OperatorStream<string | number>>();
    const many: AsyncIterable<bigint>[] = [];
    expectTypeOf(merge(many)).toEqualTypeOf<OperatorStream<bigint>>();
  });

  test("leaves the others when one fails, and tells what came before", async () => {
    const [failing, other] = [new MessageSource<string>(), new MessageSource<string>()];
    const stream = merge([failing, other]);
    const first = stream.next();
    other.give("other");
    expect((await first).value).toBe("other");
    failing.give("last");
    await setImmediate();
    const second = stream.next();
    expect((await second).value).toBe("last");
    const [third, fourth] = [stream.next(), stream.next()];
    failing.fail("the source");
    await expect(third).rejects.toBe("the source");
    expect(await fourth).toEqual({ done: true, value: undefined });
    expect([failing.returns, other.returns]).toEqual([0, 1]);
  });

  test("leaves the others at once, though what is held comes before the error", async () => {
    const [failing, first, second] = [new MessageSource<string>(), sourceOf("first"), sourceOf("second")];
    const stream = merge([failing, first, second]);
    expect((await stream.next()).value).toBe("first");
    failing.fail("the source");
    await setImmediate();
    expect([failing, first, second].map(({ returns }) => returns)).toEqual([0, 1, 1]);
    expect((await stream.next()).value).toBe("second");
    await expect(stream.next()).rejects.toBe("the source");
  });

  test("whoever leaves is told what every return() throws", async () => {
    const sources = [new MessageSource<number>(), new MessageSource<number>()];
    for (const [index, source] of sources.entries()) source.returnError = index;
    await expect(merge(sources).return()).rejects.toMatchObject({ errors: [0, 1] });
  });

  test("asks no source for anything while nobody waits", async () => {
    const sources = [sourceOf(1, 2, 3), sourceOf(1, 2, 3)];
    const stream = merge(sources);
    await stream.next();
    await setImmediate();
    expect(sources.map(({ pulls }) => pulls)).toEqual([1, 1]);
    await stream.return();
  });
});

describe("mapConcurrent", () => {
  test("results keep their messages' order, or come as they are there", async () => {
    const work = async (turns: number) => {
      for (let turn = 0; turn < turns; turn += 1) await setImmediate();
      return turns;
    };
    expect(await readAll(mapConcurrent(sourceOf(5, 1, 3), 3, work))).toEqual([5, 1, 3]);
    expect(await readAll(mapConcurrent(sourceOf(5, 1, 3), 3, work, { ordered: false }))).toEqual([1, 3, 5]);
  });

  test("its signal aborts when the stream is left, and not when it ends well", async () => {
    const signals: AbortSignal[] = [];
    const never = (_: number, signal: AbortSignal) => {
      signals.push(signal);
      return new Promise<never>(() => {});
    };
    const stream = mapConcurrent(new MessageSource<number>(), 2, never);
    const left = mapConcurrent(sourceOf(1, 2, 3), 2, never);
    void left.next();
    await setImmediate();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
    await left.return();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
    await stream.return();

    let kept: AbortSignal | undefined;
    await readAll(
      mapConcurrent(sourceOf(1), 2, (_, signal) => {
        kept = signal;
      }),
    );
    expect(kept?.aborted).toBe(false);
  });

  test("work that fails reads no more, lets earlier work end, and gives up later work", async () => {
    const source = sourceOf("slow", "failing", "later", "never read");
    const slow = Promise.withResolvers<string>();
    let later: AbortSignal | undefined;
    const stream = mapConcurrent(source, 3, (message, signal) => {
      if (message === "failing") throw new Error(message);
      if (message === "slow") return slow.promise;
      later = signal;
      return new Promise<string>(() => {});
    });
    const reads = [stream.next(), stream.next()];
    await setImmediate();
    expect([source.returns, later?.aborted]).toEqual([1, undefined]);
    slow.resolve("slow");
    expect((await reads[0])?.value).toBe("slow");
    await expect(reads[1]).rejects.toThrow("failing");
    expect(source.taken).toBe(2);
  });
});

describe("collect", () => {
  test("keeps as many as it may", async () => {
    expect(await collect(sourceOf(1, 2, 3), 3)).toEqual([1, 2, 3]);
  });

  test("rejects with one more, and leaves", async () => {
    const source = sourceOf(1, 2, 3, 4);
    await expect(collect(source, 2)).rejects.toMatchObject({
      reason: "BUFFER_FULL",
      message: "RESOURCE_EXHAUSTED: more than the 2 messages came that collect may keep",
    });
    expect([source.taken, source.returns]).toEqual([3, 1]);
  });

  test("rejects with the signal's reason, though the source does not let go", async () => {
    const source = new MessageSource<number>({ settlesOnReturn: false });
    const controller = new AbortController();
    const collected = collect(source, 2, { signal: controller.signal });
    controller.abort("enough");
    await expect(collected).rejects.toBe("enough");
    expect(source.returns).toBe(1);
  });
});

test("filter and tap wait for a lazy promise too, as query builders have, and take anything else as it is", async () => {
  const runs: number[] = [];
  const lazily = (message: number): PromiseLike<boolean> => ({
    // biome-ignore lint/suspicious/noThenProperty: it is what makes it a promise
    then: (resolve, reject) => Promise.resolve(runs.push(message) > 0).then(resolve, reject),
  });
  async function* source() {
    yield* [1, 2];
  }
  expect(await Array.fromAsync(tap(source(), lazily))).toEqual([1, 2]);
  expect(await Array.fromAsync(filter(source(), lazily))).toEqual([1, 2]);
  expect(runs).toEqual([1, 2, 1, 2]);
  const oddly = (message: number) => (message === 1 ? null : { message }) as unknown as boolean;
  expect(await Array.fromAsync(filter(source(), oddly))).toEqual([2]);
});
