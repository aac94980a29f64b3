import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { logWays, ServedLog } from "../support/logs.ts";
import { gate } from "../support/orders.ts";
import { drained } from "../support/through-proxy.ts";

/** Ids whose order only the server knows, and that are not ASCII alone. */
const ids = Array.from({ length: 30 }, (_, at) => `№ ${(at * 7) % 30}`);

/** Bytes that are no text, and grow neither in value nor in length. */
const tokens = {
  first: Uint8Array.of(0xff, 0x00),
  second: Uint8Array.of(0x00, 0x80, 0x01),
  bookmark: Uint8Array.of(0xc3),
  last: Uint8Array.of(0x00),
};

const log = new ServedLog();
beforeAll(() => log.start());
afterAll(() => log.stop());

describe.each(Object.entries(logWays))("%s", (_, connect) => {
  test("S1 with text for positions, what is left of a limit is asked for after the last that was delivered", async () => {
    const fourRead = gate();
    const read: string[] = [];
    const asked: unknown[] = [];
    const target = await log.serve(
      {
        async *readEntries({ afterId, pageSize }) {
          asked.push({ afterId, pageSize, delivered: read.length });
          const from = ids.indexOf(afterId) + 1;
          for (const id of ids.slice(from, from + pageSize)) {
            if (id === ids[4]) await fourRead.promise;
            yield { id };
          }
        },
      },
      { on: "call", nth: [1], fault: "cut", afterMessages: 5 },
    );
    for await (const { id } of connect(target).readEntries({ pageSize: 10 })) {
      if (read.push(id) === 4) fourRead.resolve();
    }
    expect(read).toEqual(ids.slice(0, 10));
    const cutAfter = (delivered: number) => [
      { afterId: "", pageSize: 10, delivered: 0 },
      { afterId: ids[delivered - 1], pageSize: 10 - delivered, delivered },
    ];
    // The fifth may have come before the cut.
    expect([cutAfter(4), cutAfter(5)]).toContainEqual(asked);
  });

  test("S1 with bytes for positions, a stream continues after a bookmark, which is not delivered", async () => {
    const [told, goOn] = [gate(), gate()];
    const asked: Uint8Array[] = [];
    const bookmark = { token: tokens.bookmark, bookmark: true };
    const target = await log.serve(
      {
        async *watchChanges({ resumeToken }) {
          if (asked.push(resumeToken) > 1) return yield* [bookmark, { token: tokens.last, key: "last" }];
          yield { token: tokens.first, key: "first" };
          yield { token: tokens.second, key: "second" };
          yield bookmark;
          told.resolve();
          await goOn.promise;
          yield bookmark;
        },
        async *readEntries() {},
      },
      { on: "call", nth: [1], fault: "cut", afterMessages: 4 },
    );
    const logs = connect(target);
    const reading = drained(logs.watchChanges({}));
    await told.promise;
    // An answer on the same connection: the bookmark has come before it.
    expect(await drained(logs.readEntries({}))).toEqual({ messages: [], error: undefined });
    goOn.resolve();
    const { messages, error } = await reading;
    expect([error, messages.map(({ key }) => key)]).toEqual([undefined, ["first", "second", "last"]]);
    expect(messages.map(({ token }) => [...token])).toEqual([[0xff, 0x00], [0x00, 0x80, 0x01], [0x00]]);
    expect(asked.map((token) => [...token])).toEqual([[], [0xc3]]);
  });

  test("S5 text that was pinned is where a stream continues that broke before its first message", async () => {
    const [pinned = "", next] = ids;
    const asked: string[] = [];
    const target = await log.serve(
      {
        async *followEntries({ afterId }, context) {
          if (asked.push(afterId) > 1) return yield { id: next ?? "" };
          context.pin(pinned);
          await new Promise((_, end) => context.signal.addEventListener("abort", end));
        },
      },
      { on: "call", nth: [1], fault: "reset", afterMessages: 0 },
    );
    const { messages, error } = await drained(connect(target).followEntries({}));
    expect([error, messages.map(({ id }) => id), asked]).toEqual([undefined, [next], ["", pinned]]);
  });
});
