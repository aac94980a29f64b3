import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { notify, type ObserverEvent } from "../../../src/core/observer.ts";
import { warn } from "../../../src/core/warning.ts";

const event: ObserverEvent = { type: "served.started", id: 1, method: "/p" };
const emit = vi.spyOn(process, "emitWarning");

beforeEach(() => void emit.mockImplementation(() => {}));
afterEach(() => void emit.mockReset());

describe("notify", () => {
  test("tells the observer the event", () => {
    const observer = vi.fn();
    notify(observer, event);
    expect(observer).toHaveBeenCalledExactlyOnceWith(event);
    expect(emit).not.toHaveBeenCalled();
  });

  test.each([
    ["an Error", new Error("from the observer"), "Error: from the observer"],
    ["a symbol", Symbol("odd"), "Symbol(odd)"],
    ["an object without text", Object.create(null), "something that has no text"],
  ])("what it throws becomes a warning: %s", (_, thrown, text) => {
    notify(() => {
      throw thrown;
    }, event);
    expect(emit).toHaveBeenCalledExactlyOnceWith(expect.stringContaining(`bowline: an observer threw: ${text}`));
  });

  test("what an async observer rejects with becomes a warning", async () => {
    notify(async () => {
      throw new Error("from the observer");
    }, event);
    await setImmediate();
    expect(emit).toHaveBeenCalledExactlyOnceWith(expect.stringContaining("bowline: an observer threw: Error: from"));
  });
});

test("a warning has an Error's stack, and its message where there is no stack", () => {
  const bare = Object.assign(new Error("bare"), { stack: undefined });
  warn("it threw", bare);
  warn("it threw", new Error("full"));
  expect(emit.mock.calls).toEqual([
    ["bowline: it threw: bare"],
    [expect.stringMatching(/^bowline: it threw: Error: full\n +at /)],
  ]);
});
