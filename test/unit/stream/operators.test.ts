import { getEventListeners } from "node:events";
import { setImmediate } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { fakeClock } from "../../../src/testing/index.ts";
import { MessageSource, readAll, sourceOf } from "../../support/message-source.ts";
import { operators } from "../../support/operators.ts";

const DONE = { done: true, value: undefined };

describe.each(operators)("$name", (operator) => {
  test("reads nothing before it is read", async () => {
    const source = sourceOf(0, 1, 2);
    operator.make(source, {});
    await setImmediate();
    expect(source.pulls).toBe(0);
  });

  test("left before it was read, leaves its source", async () => {
    const source = sourceOf(0, 1, 2);
    const stream = operator.make(source, {});
    expect(await stream.return()).toEqual(DONE);
    expect([source.pulls, source.returns]).toEqual([0, 1]);
    expect(await stream.next()).toEqual(DONE);
    expect(await stream.return()).toEqual(DONE);
    expect([source.pulls, source.returns]).toEqual([0, 1]);
  });

  test("leaves its source when a loop breaks, and when its body throws", async () => {
    const [broken, thrown] = [sourceOf(0, 1, 2, 3, 4), sourceOf(0, 1, 2, 3, 4)];
    for await (const _ of operator.make(broken, {})) break;
    const body = async () => {
      for await (const _ of operator.make(thrown, {})) throw new Error("the body");
    };
    await expect(body()).rejects.toThrow("the body");
    expect([broken.returns, thrown.returns]).toEqual(broken.ended ? [0, 0] : [1, 1]);
  });

  test("a `using` block leaves it", async () => {
    const source = new MessageSource<number>();
    {
      await using stream = operator.make(source, {});
      void stream.next();
    }
    expect(source.returns).toBe(1);
  });

  test("calls of next() that wait are done when it is left", async () => {
    const source = new MessageSource<number>({ settlesOnReturn: !operator.settlesByItself });
    const stream = operator.make(source, {});
    const reads = [stream.next(), stream.next(), stream.next()];
    await stream.return();
    expect(await Promise.all(reads)).toEqual([DONE, DONE, DONE]);
    expect(source.returns).toBe(1);
  });

  test("an aborted signal ends it at once, though its source does not let go", async () => {
    const source = new MessageSource<number>({ settlesOnReturn: false });
    const controller = new AbortController();
    const clock = fakeClock();
    const stream = operator.make(source, { signal: controller.signal, clock });
    const reads = [stream.next(), stream.next()];
    controller.abort("enough");
    expect(await Promise.allSettled(reads)).toEqual([
      { status: "rejected", reason: "enough" },
      { status: "fulfilled", value: DONE },
    ]);
    expect(source.returns).toBe(1);
    expect(await stream.next()).toEqual(DONE);
    expect([getEventListeners(controller.signal, "abort").length, clock.pending]).toEqual([0, 0]);
  });

  test("a signal that aborted before reads nothing and leaves its source", async () => {
    const source = sourceOf(0);
    const stream = operator.make(source, { signal: AbortSignal.abort("enough") });
    await expect(stream.next()).rejects.toBe("enough");
    expect([source.pulls, source.returns]).toEqual([0, 1]);
  });

  test("leaves no listener and no timer behind when it ends well", async () => {
    const controller = new AbortController();
    const clock = fakeClock();
    const source = sourceOf(0, 2, 4);
    expect((await readAll(operator.make(source, { signal: controller.signal, clock }))).length).toBeGreaterThan(0);
    expect([getEventListeners(controller.signal, "abort").length, clock.pending]).toEqual([0, 0]);
    expect(source.returns).toBe(operator.keeps === "first 3" ? 1 : 0);
  });

  test("tells a source's failure once, and does not leave what has ended", async () => {
    const source = new MessageSource<number>();
    source.fail("the source");
    const stream = operator.make(source, {});
    await expect(stream.next()).rejects.toBe("the source");
    expect(await stream.next()).toEqual(DONE);
    expect(await stream.return()).toEqual(DONE);
    expect(source.returns).toBe(0);
  });

  test("takes a source that throws instead of rejecting", async () => {
    const opening = { [Symbol.asyncIterator]: () => broken("opening") };
    const reading = { [Symbol.asyncIterator]: () => ({ next: () => broken("reading") }) };
    await expect(operator.make(opening, {}).next()).rejects.toThrow("opening");
    await expect(operator.make(reading, {}).next()).rejects.toThrow("reading");
  });

  test("takes a source without return()", async () => {
    const source = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: 2 }) as const }) };
    for await (const _ of operator.make(source, {})) break;
    await expect(operator.make(source, {}).return()).resolves.toEqual(DONE);
  });

  test("whoever leaves is told what the source's return() throws", async () => {
    const source = new MessageSource<number>();
    source.returnError = new Error("cannot return");
    const stream = operator.make(source, {});
    const read = stream.next();
    await expect(stream.return()).rejects.toThrow("cannot return");
    expect(await read).toEqual(DONE);
    expect(await stream.return()).toEqual(DONE);
    expect(source.returns).toBe(1);
  });

  test("of two errors the first is told, and the other becomes a warning", async () => {
    const source = new MessageSource<number>();
    source.returnError = new Error("cannot return");
    const controller = new AbortController();
    const stream = operator.make(source, { signal: controller.signal });
    const read = stream.next();
    const warn = vi.spyOn(process, "emitWarning").mockReturnValue();
    controller.abort("enough");
    await expect(read).rejects.toBe("enough");
    await setImmediate();
    expect(warn.mock.calls).toEqual([[expect.stringContaining("a source's return() threw: Error: cannot return")]]);
    warn.mockRestore();
  });
});

describe.each(operators.filter(({ calls }) => calls))("the callback of $name", (operator) => {
  test("leaves the source when it throws", async () => {
    const source = sourceOf(0, 2, 4);
    const boom = () => broken("boom");
    const stream = operator.make(source, { visit: boom });
    await expect(stream.next()).rejects.toThrow("boom");
    expect(source.returns).toBe(source.ended ? 0 : 1);
    expect(await stream.next()).toEqual(DONE);
  });

  test("may leave the stream itself", async () => {
    const source = sourceOf(0, 2, 4);
    const stream = operator.make(source, { visit: () => void stream.return() });
    await stream.next();
    await setImmediate();
    expect(await stream.next()).toEqual(DONE);
    expect(source.returns).toBe(1);
  });
});

test.each(operators.filter(({ awaits }) => awaits))(
  "the callback of $name does not hold up a signal while its promise is pending",
  async (operator) => {
    const source = sourceOf(0, 2, 4);
    const controller = new AbortController();
    const late = Promise.withResolvers<void>();
    const stream = operator.make(source, { signal: controller.signal, visit: () => late.promise });
    const reads = Promise.allSettled([stream.next(), stream.next()]);
    await setImmediate();
    controller.abort("enough");
    expect(await Promise.race([reads, setImmediate("nothing")])).toEqual([
      { status: "rejected", reason: "enough" },
      { status: "fulfilled", value: DONE },
    ]);
    expect(source.returns).toBe(source.ended ? 0 : 1);
    late.reject("too late");
    await setImmediate();
    expect(await stream.next()).toEqual(DONE);
    expect(getEventListeners(controller.signal, "abort").length).toBe(0);
  },
);

function broken(what: string): never {
  throw new Error(what);
}
