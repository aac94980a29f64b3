import { describe, expect, test } from "vitest";
import { BroadcastLog } from "../../../src/policy/broadcast-log.ts";
import { BroadcastReader, type LagPolicy, type ReaderWish } from "../../../src/policy/broadcast-reader.ts";

const compare = (a: number, b: number) => a - b;

/** A log of six whose messages are their own cursors, with a reader that has read nothing. */
function aReader(
  wish: Partial<ReaderWish<number, number>> = {},
  onLag: LagPolicy = "disconnect",
  start: { after?: number } = { after: 0 },
) {
  const log = new BroadcastLog<number, number>(6, compare, start.after);
  const publish = (...cursors: number[]) => {
    for (const cursor of cursors) log.append(cursor, cursor);
  };
  const dropped: number[] = [];
  const read = () => {
    const all = { after: undefined, filter: undefined, canReplay: false, onDropped: (n: number) => dropped.push(n) };
    const rules = { compare, cursorOf: (message: number) => message, maxLagMessages: 3, onLag };
    const reader = new BroadcastReader(log, rules, { ...all, ...wish });
    const next = () => {
      const step = reader.next();
      return typeof step === "string" ? step : step.message;
    };
    return { reader, next, take: (count: number) => Array.from({ length: count }, next) };
  };
  return { log, publish, read, dropped };
}

describe("without a cursor", () => {
  test("it begins with what is published from now on", () => {
    const { publish, read } = aReader();
    publish(1, 2);
    const { reader, take } = read();
    expect(reader.cursor).toBe(2);
    publish(3, 4);
    expect(take(3)).toEqual([3, 4, "wait"]);
    expect(reader.cursor).toBe(4);
  });

  test("it waits and goes on", () => {
    const { publish, read } = aReader();
    const { next } = read();
    expect(next()).toBe("wait");
    publish(1);
    expect(next()).toBe(1);
  });
});

describe("with a cursor", () => {
  test("it begins after it, out of the log", () => {
    const { publish, read } = aReader({ after: 1 });
    publish(1, 2, 3);
    expect(read().take(3)).toEqual([2, 3, "wait"]);
  });

  test("what is published later and stands before it is passed over", () => {
    const { publish, read } = aReader({ after: 2 });
    const { take } = read();
    publish(1, 2, 3);
    expect(take(2)).toEqual([3, "wait"]);
  });

  test("history is no lag: more than may stay unread can be had", () => {
    const { publish, read } = aReader({ after: 0 });
    publish(1, 2, 3, 4, 5, 6);
    expect(read().take(7)).toEqual([1, 2, 3, 4, 5, 6, "wait"]);
  });

  test("but it is one once it has caught up", () => {
    const { publish, read } = aReader({ after: 0 });
    publish(1, 2, 3, 4, 5, 6);
    const { take, next } = read();
    take(4);
    publish(7, 8);
    expect(next()).toBe(5);
    publish(9, 10, 11, 12);
    expect(next()).toBe("slow");
  });

  test("what is gone is gone, without a replay", () => {
    const { publish, read } = aReader({ after: 0 });
    publish(1, 2, 3, 4, 5, 6, 7);
    expect(read().next()).toBe("expired");
  });

  test("history that goes before it was read is a lag, without a replay", () => {
    const { publish, read } = aReader({ after: 0 });
    publish(1, 2, 3, 4, 5, 6);
    const { next } = read();
    publish(7);
    expect(next()).toBe("slow");
  });
});

describe("the filter", () => {
  test("passes over what is not wanted, and the cursor goes along", () => {
    const { publish, read } = aReader({ filter: (message) => message % 2 === 0 });
    const { reader, next } = read();
    publish(1, 2, 3);
    expect(next()).toBe(2);
    expect(reader.cursor).toBe(2);
    expect(next()).toBe("wait");
    expect(reader.cursor).toBe(3);
  });

  test("is asked once for each, also where it throws", () => {
    const asked: number[] = [];
    const { publish, read } = aReader({
      filter: (message) => {
        asked.push(message);
        if (message === 1) throw new Error("filter");
        return true;
      },
    });
    const { next } = read();
    publish(1, 2);
    expect(next).toThrow("filter");
    expect(next()).toBe(2);
    expect(asked).toEqual([1, 2]);
  });
});

describe("falling behind", () => {
  test("as far as is allowed is no lag", () => {
    const { publish, read } = aReader();
    const { reader, next } = read();
    publish(1, 2, 3);
    expect(reader.lag).toBe(3);
    expect(next()).toBe(1);
  });

  test("disconnect: what came at once makes nobody slow who reads it, as long as the log has it", () => {
    const { publish, read } = aReader();
    const { take } = read();
    publish(1, 2, 3, 4, 5, 6);
    expect(take(7)).toEqual([1, 2, 3, 4, 5, 6, "wait"]);
    publish(7, 8, 9, 10, 11, 12);
    expect(take(7)).toEqual([7, 8, 9, 10, 11, 12, "wait"]);
  });

  test("disconnect: nor what comes in pages that are faster than it reads", () => {
    const { publish, read } = aReader();
    const { next } = read();
    publish(1, 2, 3, 4);
    expect(next()).toBe(1);
    publish(5, 6, 7);
    expect(next()).toBe(2);
  });

  test("disconnect: whoever has more unread than the log keeps is too slow", () => {
    const { publish, read } = aReader();
    const { next } = read();
    publish(1, 2, 3, 4, 5, 6, 7);
    expect(next()).toBe("slow");
  });

  test("drop-oldest: as many are left as are allowed", () => {
    const { publish, read, dropped } = aReader({}, "drop-oldest");
    const { take } = read();
    publish(1, 2, 3, 4, 5, 6, 7, 8);
    expect(take(4)).toEqual([6, 7, 8, "wait"]);
    expect(dropped).toEqual([5]);
  });

  test("replay: out of the log while it is there, and then out of a replay from the last one read", () => {
    const { publish, read } = aReader({ canReplay: true }, "replay");
    const { reader, next } = read();
    publish(1, 2, 3, 4, 5, 6);
    expect(next()).toBe(1);
    publish(7, 8);
    expect(next()).toBe("replay");
    expect(reader.beginReplay()).toBe(1);
  });

  test("replay: whoever has no cursor to replay after is too slow", () => {
    const { publish, read } = aReader({ canReplay: true }, "replay", {});
    const { next } = read();
    publish(1, 2, 3, 4, 5, 6, 7);
    expect(next()).toBe("slow");
  });
});

describe("from a replay to the log", () => {
  /** A reader after 1 of a log that begins after 3, with its replay begun. */
  function replaying(filter?: (message: number) => boolean) {
    const { publish, read, ...rest } = aReader({ after: 1, canReplay: true, filter }, "disconnect", { after: 3 });
    const reading = read();
    expect(reading.next()).toBe("replay");
    expect(reading.reader.beginReplay()).toBe(1);
    return { publish, ...reading, ...rest };
  }

  test("as soon as the log has the rest", () => {
    const { reader, publish, take } = replaying();
    publish(4, 5);
    expect(reader.replayed(2)).toBe(true);
    expect(reader.mustReplay).toBe(true);
    expect(reader.replayed(3)).toBe(true);
    expect(reader.mustReplay).toBe(false);
    expect(take(3)).toEqual([4, 5, "wait"]);
  });

  test("what both have comes once", () => {
    const { reader, publish, take } = replaying();
    expect([2, 5].map((message) => reader.replayed(message))).toEqual([true, true]);
    publish(4, 5, 6);
    expect(take(2)).toEqual([6, "wait"]);
  });

  test("what stands at the cursor or before it is no news", () => {
    const { reader } = replaying();
    expect([0, 1, 1, 2].map((message) => reader.replayed(message))).toEqual([false, false, false, true]);
  });

  test("a page is followed by another, until one has nothing new: then everything published before it was had", () => {
    const { reader, publish, next } = replaying(() => false);
    reader.replayed(2);
    reader.endReplay();
    expect(next()).toBe("replay");
    publish(4);
    expect(reader.beginReplay()).toBe(2);
    publish(5);
    reader.endReplay();
    expect(reader.cursor).toBe(4);
    expect(next()).toBe("wait");
    expect(reader.cursor).toBe(5);
  });

  test("a log that went on faster is caught up with by another replay, from what was published before", () => {
    const { reader, publish, next } = replaying();
    publish(4);
    expect(reader.beginReplay()).toBe(1);
    publish(5, 6, 7, 8, 9, 10, 11);
    reader.endReplay();
    expect(next()).toBe("replay");
    expect(reader.beginReplay()).toBe(4);
  });

  test("out of order is an error", () => {
    const { reader } = replaying();
    reader.replayed(3);
    expect(() => reader.replayed(2)).toThrow(new RangeError("the replay is out of order: 2 after 3"));
  });
});
