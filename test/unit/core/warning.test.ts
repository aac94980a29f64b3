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
  test("the first of each fault is told, and one a minute after it, with how many were left out", () => {
    const rare = new RareWarnings();
    expect(rare.take("it threw", "a", 0)).toBe(0);
    expect(rare.take("it threw", "b", 1_000)).toBe(0);
    expect(rare.take("it threw", "a", 1_000)).toBeUndefined();
    expect(rare.take("it threw", "a", 59_999)).toBeUndefined();
    expect(rare.take("it threw", "a", 60_000)).toBe(2);
    expect(rare.take("it threw", "b", 60_999)).toBeUndefined();
    expect(rare.take("it threw", "a", 119_999)).toBeUndefined();
    expect(rare.take("it threw", "a", 240_000)).toBe(1);
    expect(rare.take("it threw", "a", 300_000)).toBe(0);
  });

  test("those that are told are told in full", () => {
    const texts = warnings();
    const now = clockAt(5_000);
    const made = (text: string) => new Error(text);
    for (let n = 1; n <= 1_000; n += 1) warnRarely("it threw", made(`no. ${n}`));
    now.mockReturnValue(65_000);
    warnRarely("it threw", made("late"));
    expect(texts).toEqual([
      expect.stringMatching(/^bowline: it threw: Error: no\. 1\n +at /),
      expect.stringMatching(/^bowline: it threw \(and 999 times more since this was last told\): Error: late\n +at /),
    ]);
  });

  test("one fault does not hide another: of another name, at another place, or without a stack", () => {
    const texts = warnings();
    clockAt(0);
    const revoked = Proxy.revocable(new Error(), {});
    revoked.revoke();
    const quoting = (text: string) => new Error(`${text}\n    at ${text} (elsewhere.ts:1:1)`);
    const bare = (name: string) => Object.assign(new Error(`bare ${name}`), { name, stack: undefined });
    for (let n = 1; n <= 3; n += 1) {
      const range = new RangeError(`range ${n}`);
      warnRarely("it threw", new TypeError(`here ${n}`));
      warnRarely("it threw", new TypeError(`there ${n}`));
      for (const name of ["RangeError", "TypeError"]) warnRarely("it threw", Object.assign(range, { name }));
      for (const name of ["E1", "E2"]) warnRarely("it threw", bare(name));
      warnRarely("it threw", `text ${n}`);
      warnRarely("another threw", `text ${n}`);
      warnRarely("a third threw", revoked.proxy);
      warnRarely("it threw", quoting(`quote ${n}`));
    }
    expect(texts.map((text) => text.split("\n", 1)[0])).toEqual([
      "bowline: it threw: TypeError: here 1",
      "bowline: it threw: TypeError: there 1",
      "bowline: it threw: RangeError: range 1",
      "bowline: it threw: RangeError: range 1",
      "bowline: it threw: bare E1",
      "bowline: it threw: bare E2",
      "bowline: it threw: text 1",
      "bowline: another threw: text 1",
      "bowline: a third threw: something that has no text",
      "bowline: it threw: Error: quote 1",
    ]);
  });

  test("where there is no end of faults, those that come late are told apart by where they came from alone", () => {
    const rare = new RareWarnings();
    const takes = Array.from({ length: 3_000 }, (_, n) => rare.take("it threw", `fault ${n}`, 0));
    expect(takes.filter((leftOut) => leftOut === 0)).toHaveLength(1_001);
    expect(rare.take("it threw", "fault 7", 0)).toBeUndefined();
    expect(rare.take("it threw", "fault 7", 60_000)).toBe(1);
    expect(rare.take("another threw", "fault", 0)).toBe(0);
    expect(rare.take("it threw", "fault 3000", 60_000)).toBe(1_999);
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
