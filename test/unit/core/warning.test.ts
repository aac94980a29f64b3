import { setImmediate } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { RareWarnings, tell, warn, warnRarely } from "../../../src/core/warning.ts";

/** The texts of the process's warnings from now to the end of the test. */
function warnings() {
  const texts: string[] = [];
  const emit = vi.spyOn(process, "emitWarning").mockImplementation((text) => void texts.push(String(text)));
  onTestFinished(() => emit.mockRestore());
  return texts;
}

/** A clock that the test sets. */
function clockAt(start: number) {
  const now = vi.spyOn(systemClock, "now").mockReturnValue(start);
  onTestFinished(() => now.mockRestore());
  return now;
}

test("a warning has an Error's stack, and its message where there is no stack", () => {
  const texts = warnings();
  const bare = Object.assign(new Error("bare"), { stack: undefined });
  warn("it threw", bare);
  warn("it threw", new Error("full"));
  expect(texts).toEqual(["bowline: it threw: bare", expect.stringMatching(/^bowline: it threw: Error: full\n +at /)]);
});

describe("of many warnings", () => {
  test("the first of each kind is told, and one a minute after it, with how many were left out", () => {
    const rare = new RareWarnings();
    expect(rare.take("a", 0)).toBe(0);
    expect(rare.take("b", 1_000)).toBe(0);
    expect(rare.take("a", 1_000)).toBeUndefined();
    expect(rare.take("a", 59_999)).toBeUndefined();
    expect(rare.take("a", 60_000)).toBe(2);
    expect(rare.take("b", 60_999)).toBeUndefined();
    expect(rare.take("a", 119_999)).toBeUndefined();
    expect(rare.take("a", 240_000)).toBe(1);
    expect(rare.take("a", 300_000)).toBe(0);
  });

  test("those that are told are told in full", () => {
    const texts = warnings();
    const now = clockAt(5_000);
    for (let n = 1; n <= 1_000; n += 1) warnRarely("it threw", new Error(`no. ${n}`));
    now.mockReturnValue(65_000);
    warnRarely("it threw", new Error("late"));
    expect(texts).toEqual([
      expect.stringMatching(/^bowline: it threw: Error: no\. 1\n +at /),
      expect.stringMatching(/^bowline: it threw \(and 999 times more since this was last told\): Error: late\n +at /),
    ]);
  });
});

test("what a callback throws and what it rejects with is told rarely, and it is called all the same", async () => {
  const texts = warnings();
  const now = clockAt(0);
  const throwing = vi.fn(() => {
    throw new Error("thrown");
  });
  const rejecting = vi.fn(() => Promise.reject(new Error("rejected")));
  for (let n = 0; n < 5; n += 1) {
    tell("it threw", throwing);
    tell("another threw", rejecting);
  }
  await setImmediate();
  now.mockReturnValue(60_000);
  tell("it threw", throwing);
  expect([throwing, rejecting].map(({ mock }) => mock.calls.length)).toEqual([6, 5]);
  expect(texts.map((text) => text.split("\n")[0])).toEqual([
    "bowline: it threw: Error: thrown",
    "bowline: another threw: Error: rejected",
    "bowline: it threw (and 4 times more since this was last told): Error: thrown",
  ]);
});
