import { Metadata } from "nice-grpc-common";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { RpcError } from "../../../src/core/errors.ts";
import { FailedStream } from "../../../src/core/failed-stream.ts";
import { DONE, type StreamWatcher, Watchers } from "../../../src/core/message-stream.ts";

const error = new RpcError({ path: "/p", reason: "DEADLINE_BEFORE_SEND", details: "late", attempts: 0 });

/** A watcher that writes down what it is told. */
function notingWatcher(told: unknown[], name = ""): StreamWatcher {
  return {
    onHeaders: (header) => told.push(`${name}headers ${header.get("a")}`),
    onFirstMessage: () => told.push(`${name}first message`),
    onEnd: (end) => told.push(`${name}end ${end.outcome}`),
  };
}

/** The process's warnings from now to the end of the test. */
function warnings() {
  const emit = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => emit.mockRestore());
  return emit.mock.calls as unknown[][];
}

describe("Watchers", () => {
  test("tells each thing to each watcher once, in the order of their adding", () => {
    const watchers = new Watchers();
    const told: unknown[] = [];
    watchers.add(notingWatcher(told, "1 "));
    watchers.add(notingWatcher(told, "2 "));
    const header = new Metadata({ a: "b" });
    for (let times = 0; times < 2; times++) {
      watchers.headers(() => header);
      watchers.firstMessage();
    }
    watchers.end({ outcome: "ok" });
    watchers.end({ outcome: "cancelled" });
    expect(told).toEqual(["1 headers b", "2 headers b", "1 first message", "2 first message", "1 end ok", "2 end ok"]);
  });

  test("hands on the end as it is", () => {
    const watchers = new Watchers();
    const onEnd = vi.fn();
    watchers.add({ onEnd });
    const end = { outcome: "error", error, trailer: new Metadata() } as const;
    watchers.end(end);
    expect(onEnd).toHaveBeenCalledExactlyOnceWith(end);
  });

  test("tells nothing more after the end", () => {
    const watchers = new Watchers();
    const told: unknown[] = [];
    watchers.add(notingWatcher(told));
    watchers.end({ outcome: "cancelled" });
    watchers.headers(() => new Metadata());
    watchers.firstMessage();
    expect(told).toEqual(["end cancelled"]);
  });

  test("converts the header only if somebody listens", () => {
    const watchers = new Watchers();
    const convert = vi.fn(() => new Metadata());
    watchers.add({ onEnd: () => {} });
    watchers.headers(convert);
    expect(convert).not.toHaveBeenCalled();
  });

  test("a watcher that throws becomes a warning: the others are told, and so is the stream spared", () => {
    const watchers = new Watchers();
    const warned = warnings();
    const told: unknown[] = [];
    const boom = vi.fn(() => {
      throw new Error("from a watcher");
    });
    watchers.add({ onHeaders: boom, onFirstMessage: boom, onEnd: boom });
    watchers.add(notingWatcher(told));
    watchers.headers(() => new Metadata({ a: "b" }));
    watchers.firstMessage();
    watchers.end({ outcome: "ok" });
    expect(told).toEqual(["headers b", "first message", "end ok"]);
    expect(boom).toHaveBeenCalledTimes(3);
    expect(warned.map(([text]) => text)).toEqual([
      expect.stringContaining("bowline: a stream's watcher threw: Error: from a watcher"),
    ]);
  });
});

describe("FailedStream", () => {
  test("fails at its first next(), and is over then", async () => {
    const stream = new FailedStream(error);
    const told: unknown[] = [];
    stream.watch(notingWatcher(told));
    expect(told).toEqual([]);
    await expect(stream.next()).rejects.toBe(error);
    expect(await stream.next()).toBe(DONE);
    expect(await stream.return()).toBe(DONE);
    expect(told).toEqual(["end error"]);
  });

  test("of two next() at once, one fails", async () => {
    const stream = new FailedStream(error);
    const both = await Promise.allSettled([stream.next(), stream.next()]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  test("left before its first next(), it ends as cancelled and fails nobody", async () => {
    const stream = new FailedStream(error);
    const told: unknown[] = [];
    stream.watch(notingWatcher(told));
    expect(await stream.return()).toBe(DONE);
    expect(await stream.next()).toBe(DONE);
    expect(told).toEqual(["end cancelled"]);
  });
});
