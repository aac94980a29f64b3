import { setImmediate } from "node:timers/promises";
import { buffer, latest } from "bowline/stream";
import { describe, expect, test, vi } from "vitest";
import { fakeClock } from "../../../src/testing/index.ts";
import { MessageSource, readAll, sourceOf } from "../../support/message-source.ts";

/** A source of so many messages, each there at once. */
function numbers(count: number): MessageSource<number> {
  return sourceOf(...Array.from({ length: count }, (_, index) => index));
}

/** What a reader gets that comes back after a turn: until then the buffer reads ahead. */
async function readSlowly<Message>(stream: AsyncIterable<Message>): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of stream) {
    messages.push(message);
    await setImmediate();
  }
  return messages;
}

describe("buffer", () => {
  test("blocks at 1,000 messages, unless told otherwise, and loses nothing", async () => {
    const source = numbers(1_500);
    const stream = buffer(source);
    const read = [(await stream.next()).value];
    await setImmediate();
    expect(stream.stats()).toEqual({ messages: 1_000, bytes: 0, dropped: 0 });
    expect(source.taken).toBe(1_001);
    for await (const message of stream) read.push(message);
    expect(read).toEqual(Array.from({ length: 1_500 }, (_, index) => index));
  });

  test("blocks at 4 MiB, unless told otherwise, where sizes are known", async () => {
    const stream = buffer(numbers(100), { sizeOf: () => 1024 * 1024 });
    await stream.next();
    await setImmediate();
    expect(stream.stats()).toEqual({ messages: 4, bytes: 4 * 1024 * 1024, dropped: 0 });
    await stream.return();
    expect(stream.stats()).toEqual({ messages: 0, bytes: 0, dropped: 0 });
  });

  test("ends with what does not fit, after what did", async () => {
    const source = numbers(10);
    const stream = buffer(source, { maxMessages: 3, overflow: "error" });
    expect((await stream.next()).value).toBe(0);
    await setImmediate();
    expect(source.returns).toBe(1);
    expect([(await stream.next()).value, (await stream.next()).value, (await stream.next()).value]).toEqual([1, 2, 3]);
    await expect(stream.next()).rejects.toMatchObject({
      reason: "BUFFER_FULL",
      message: "RESOURCE_EXHAUSTED: the buffer is full: 3 messages wait to be read",
    });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("counts what it drops, and tells it", async () => {
    const told: number[] = [];
    const onDrop = (message: number) => void told.push(message);
    const stream = buffer(numbers(10), { maxMessages: 2, overflow: "drop-newest", onDrop });
    expect(await readSlowly(stream)).toEqual([0, 1, 2]);
    expect(told).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(stream.stats()).toEqual({ messages: 0, bytes: 0, dropped: 7 });
  });

  test("what onDrop throws becomes a warning", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockReturnValue();
    const onDrop = () => {
      throw new Error("told");
    };
    expect(await readSlowly(buffer(numbers(3), { maxMessages: 1, overflow: "drop-oldest", onDrop }))).toEqual([0, 2]);
    expect(warn.mock.calls).toEqual([[expect.stringContaining("a buffer's onDrop threw: Error: told")]]);
    warn.mockRestore();
  });

  test.each<[string, object, string]>([
    ["sizeOf throws", { sizeOf: () => fail("sizeOf") }, "sizeOf"],
    [
      "sizeOf returns no number",
      { sizeOf: () => Number.NaN },
      "buffer: sizeOf must return a number of bytes; it returned NaN",
    ],
    ["key throws", { overflow: "latest-by-key", key: () => fail("key") }, "key"],
  ])("%s: the stream ends with that, and the source is left", async (_, options, message) => {
    const source = numbers(3);
    await expect(buffer(source, options).next()).rejects.toThrow(message);
    expect(source.returns).toBe(1);
  });

  test("keeps the newest of each key, at the place of the first", async () => {
    const source = sourceOf(["gold", 1], ["tin", 2], ["gold", 3], ["zinc", 4], ["gold", 5]);
    const stream = buffer(source, { overflow: "latest-by-key", key: ([metal]) => metal });
    expect(await readSlowly(stream)).toEqual([
      ["gold", 1],
      ["tin", 2],
      ["gold", 5],
      ["zinc", 4],
    ]);
    expect(stream.stats().dropped).toBe(1);
  });

  test("lets the event loop turn though its source never is out of messages", async () => {
    async function* endless() {
      for (let message = 0; ; message += 1) yield message;
    }
    const stream = latest(endless());
    const first = await stream.next();
    await setImmediate();
    const second = await stream.next();
    expect(Number(second.value)).toBeGreaterThan(Number(first.value));
    await stream.return();
  });

  test("pauses only while nobody waits, and takes its pause back when it is left", async () => {
    const clock = fakeClock();
    const stream = latest(numbers(5_000), { clock });
    await stream.next();
    await setImmediate();
    expect(clock.pending).toBe(1);
    await stream.return();
    expect(clock.pending).toBe(0);
  });
});

test("latest hands out the newest, and always the last", async () => {
  const source = new MessageSource<string>();
  const stream = latest(source);
  const first = stream.next();
  source.give("a");
  expect((await first).value).toBe("a");
  source.give("b", "c");
  await setImmediate();
  source.give("d");
  source.end();
  await setImmediate();
  expect(await readAll(stream)).toEqual(["d"]);
  expect(stream.stats().dropped).toBe(2);
});

function fail(what: string): never {
  throw new Error(what);
}
