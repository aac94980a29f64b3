import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { notify, type ObserverEvent } from "../../../src/core/observer.ts";

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
