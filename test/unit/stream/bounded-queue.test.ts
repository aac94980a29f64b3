import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BoundedQueue, type Overflow, type QueueRules } from "../../../src/stream/bounded-queue.ts";

interface Message {
  readonly id: number;
  readonly size: number;
  readonly key: string;
}

function queueOf(rules: Partial<QueueRules>): BoundedQueue<Message> {
  return new BoundedQueue({ maxMessages: 3, maxBytes: Number.POSITIVE_INFINITY, overflow: "block", ...rules });
}

function offer(queue: BoundedQueue<Message>, ...messages: Message[]): number[] {
  return messages.flatMap((message) => queue.offer(message, message.size, message.key).dropped).map(({ id }) => id);
}

function drain(queue: BoundedQueue<Message>): number[] {
  return Array.from({ length: queue.messages }, () => queue.take().id);
}

const messages = (count: number, size = 1): Message[] =>
  Array.from({ length: count }, (_, id) => ({ id, size, key: `key ${id}` }));

describe("each way of overflow", () => {
  test("block takes what comes, and says when there is no room", () => {
    const queue = queueOf({});
    expect(offer(queue, ...messages(2))).toEqual([]);
    expect(queue.hasRoom).toBe(true);
    expect(offer(queue, ...messages(1))).toEqual([]);
    expect(queue.hasRoom).toBe(false);
    queue.take();
    expect(queue.hasRoom).toBe(true);
  });

  test("block counts bytes too: no room at the bound, room one below", () => {
    const queue = queueOf({ maxBytes: 10 });
    offer(queue, { id: 0, size: 9, key: "" });
    expect(queue.hasRoom).toBe(true);
    offer(queue, { id: 1, size: 1, key: "" });
    expect(queue.hasRoom).toBe(false);
  });

  test.each<[Overflow, { dropped: number[]; kept: number[] }]>([
    ["drop-oldest", { dropped: [0, 1], kept: [2, 3, 4] }],
    ["drop-newest", { dropped: [3, 4], kept: [0, 1, 2] }],
    ["latest-by-key", { dropped: [0, 1], kept: [2, 3, 4] }],
  ])("%s", (overflow, { dropped, kept }) => {
    const queue = queueOf({ overflow });
    expect(queue.hasRoom).toBe(true);
    expect(offer(queue, ...messages(5))).toEqual(dropped);
    expect(drain(queue)).toEqual(kept);
  });

  test("error", () => {
    const queue = queueOf({ overflow: "error" });
    offer(queue, ...messages(3));
    expect(queue.offer({ id: 3, size: 1, key: "" }, 1)).toEqual({ overflowed: true, dropped: [] });
    expect(drain(queue)).toEqual([0, 1, 2]);
  });

  test("as many of the oldest are dropped as the bytes take", () => {
    const queue = queueOf({ overflow: "drop-oldest", maxBytes: 10 });
    expect(offer(queue, ...messages(3, 3), { id: 9, size: 6, key: "" })).toEqual([0, 1]);
    expect([queue.messages, queue.bytes]).toEqual([2, 9]);
  });

  test.each(["drop-oldest", "drop-newest", "latest-by-key", "error"] as const)(
    "%s: an empty queue takes any message",
    (overflow) => {
      const queue = queueOf({ overflow, maxBytes: 10 });
      expect(queue.offer({ id: 0, size: 99, key: "a" }, 99, "a")).toEqual({ overflowed: false, dropped: [] });
      expect(queue.bytes).toBe(99);
    },
  );
});

describe("latest-by-key", () => {
  const at = (id: number, key: string, size = 1): Message => ({ id, key, size });

  test("keeps a key's place, whether full or not", () => {
    const queue = queueOf({ overflow: "latest-by-key" });
    expect(offer(queue, at(0, "a"), at(1, "b"), at(2, "a"))).toEqual([0]);
    expect(drain(queue)).toEqual([2, 1]);
  });

  test("a key that was taken comes anew", () => {
    const queue = queueOf({ overflow: "latest-by-key" });
    offer(queue, at(0, "a"), at(1, "b"));
    queue.take();
    expect(offer(queue, at(2, "a"))).toEqual([]);
    expect(drain(queue)).toEqual([1, 2]);
  });

  test("a larger successor has others make room, but not itself", () => {
    const queue = queueOf({ overflow: "latest-by-key", maxBytes: 10 });
    expect(offer(queue, at(0, "a", 2), at(1, "b", 3), at(2, "c", 4), at(3, "a", 7))).toEqual([0, 1, 2]);
    expect([drain(queue), queue.bytes]).toEqual([[3], 0]);
  });

  test("what was cleared is forgotten", () => {
    const queue = queueOf({ overflow: "latest-by-key" });
    offer(queue, at(0, "a"));
    queue.clear();
    expect(offer(queue, at(1, "a"))).toEqual([]);
    expect([queue.messages, queue.bytes]).toEqual([1, 1]);
  });
});

test("whatever comes: what is not held was taken or dropped, and the bounds hold", () => {
  const aMessage = fc.record({ id: fc.nat(), size: fc.nat({ max: 8 }), key: fc.constantFrom("a", "b", "c", "d", "e") });
  const overflows = fc.constantFrom<Overflow>("drop-oldest", "drop-newest", "latest-by-key", "error");
  fc.assert(
    fc.property(overflows, fc.array(fc.option(aMessage), { maxLength: 60 }), (overflow, steps) => {
      const queue = queueOf({ overflow, maxBytes: 10 });
      const out: Message[] = [];
      const ins: Message[] = [];
      for (const message of steps) {
        if (message) ins.push(message);
        const offered = message && queue.offer(message, message.size, message.key);
        out.push(...(offered?.dropped ?? []), ...(message && offered?.overflowed ? [message] : []));
        if (!message && queue.messages > 0) out.push(queue.take());
        expect(queue.messages).toBeLessThanOrEqual(3);
        expect(queue.messages > 1 ? queue.bytes : 0).toBeLessThanOrEqual(10);
      }
      while (queue.messages > 0) out.push(queue.take());
      expect(queue.bytes).toBe(0);
      expect(new Set(out)).toEqual(new Set(ins));
      expect(out).toHaveLength(ins.length);
    }),
    { numRuns: 1_000 },
  );
});
