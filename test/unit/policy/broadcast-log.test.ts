import { describe, expect, test } from "vitest";
import { BroadcastLog } from "../../../src/policy/broadcast-log.ts";

/** A log of these cursors, each its own message. */
function aLog(capacity: number, cursors: readonly number[] = [], startAfter?: number) {
  const log = new BroadcastLog<string, number>(capacity, (a, b) => a - b, startAfter);
  for (const cursor of cursors) log.append(`m${cursor}`, cursor);
  const kept = () => Array.from({ length: log.end - log.first }, (_, index) => log.at(log.first + index).cursor);
  return { log, kept };
}

describe("what is kept", () => {
  test("nothing at first", () => {
    const { log } = aLog(3);
    expect([log.first, log.end, log.lastCursor]).toEqual([0, 0, undefined]);
  });

  test("as many as there is room for, and then the newest", () => {
    expect(aLog(3, [10, 20, 30]).kept()).toEqual([10, 20, 30]);
    const { log, kept } = aLog(3, [10, 20, 30, 40, 50, 60, 70]);
    expect(kept()).toEqual([50, 60, 70]);
    expect([log.first, log.end, log.lastCursor]).toEqual([4, 7, 70]);
    expect(log.at(5)).toEqual({ message: "m60", cursor: 60 });
  });

  test.each([-1, 0, 1, 5, 0.5])("position %d is not there", (position) => {
    expect(() => aLog(3, [10, 20, 30, 40, 50]).log.at(position)).toThrow(`the log has no position ${position}`);
  });
});

describe("the position after a cursor", () => {
  const cases: [string, number[], number | undefined, number, number | undefined][] = [
    ["nobody knows what was before an empty log", [], undefined, 10, undefined],
    ["an empty log begins where it was said to", [], 10, 10, 0],
    ["… and not before", [], 10, 9, undefined],
    ["a cursor ahead of it", [], 10, 11, 0],
    ["the first message", [10, 20, 30], undefined, 10, 1],
    ["before the first, where something may have been", [10, 20, 30], undefined, 9, undefined],
    ["before the first, from where it was said to start", [10, 20, 30], 5, 5, 0],
    ["… and between", [10, 20, 30], 5, 7, 0],
    ["between two", [10, 20, 30], undefined, 15, 1],
    ["the last", [10, 20, 30], undefined, 30, 3],
    ["after the last", [10, 20, 30], undefined, 99, 3],
    ["the last that is gone", [10, 20, 30, 40, 50], undefined, 20, 2],
    ["after it", [10, 20, 30, 40, 50], undefined, 25, 2],
    ["before it", [10, 20, 30, 40, 50], undefined, 19, undefined],
    ["the start, once it is gone", [10, 20, 30, 40, 50], 5, 5, undefined],
  ];
  test.each(cases)("%s", (_, cursors, startAfter, cursor, position) => {
    expect(aLog(3, cursors, startAfter).log.positionAfter(cursor)).toBe(position);
  });
});

describe("what was there before", () => {
  test.each([
    ["the last", 50],
    ["one that is kept", 40],
    ["the last that is gone", 20],
    ["one that is long gone", 10],
    ["what may have been long ago", 15],
  ])("%s is not taken again", (_, cursor) => {
    const { log, kept } = aLog(3, [10, 20, 30, 40, 50]);
    expect(log.append("again", cursor)).toBe(false);
    expect(kept()).toEqual([30, 40, 50]);
  });

  test("nor is what was there at the start", () => {
    expect(aLog(3, [], 10).log.append("old", 10)).toBe(false);
    expect(aLog(3, [20], 10).log.append("old", 9)).toBe(false);
  });

  test.each([
    ["between two that are kept", [10, 20, 30, 40, 50], undefined, 45],
    ["between what is gone and what is kept", [10, 20, 30, 40, 50], undefined, 25],
    ["between the start and the first", [20], 10, 15],
  ])("what stands %s came too late", (_, cursors, startAfter, cursor) => {
    const { log } = aLog(3, cursors, startAfter);
    expect(() => log.append("late", cursor)).toThrow(
      new RangeError(`published out of order: ${cursor} after ${cursors.at(-1)}; subscribers have passed it already`),
    );
    expect(log.lastCursor).toBe(cursors.at(-1));
  });
});
