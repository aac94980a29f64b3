import { fakeClock } from "bowline/testing";
import { describe, expect, test } from "vitest";
import { passages } from "../../../../src/testing/fault-proxy/bytes.ts";
import type { ConnectionFault, Towards } from "../../../../src/testing/fault-proxy/rules.ts";

/** One direction of a connection with a fault, which takes chunks and shows what has come out. */
function lane(fault: ConnectionFault, towards: Towards = "client", bit = 0) {
  const clock = fakeClock();
  const over = new AbortController();
  const state = { out: "", ended: false, happened: 0 };
  const host = { clock, signal: over.signal, happened: () => void state.happened++ };
  const both = passages({ rule: { on: "connection", ...fault }, index: 0, bit }, host);
  const start = (direction: Towards) => {
    const source = new TransformStream<Buffer, Buffer>(undefined, { highWaterMark: 100 }, { highWaterMark: 100 });
    const writer = source.writable.getWriter();
    const read = async () => {
      for await (const chunk of both[direction](source.readable as AsyncIterable<Buffer>)) state.out += `${chunk}|`;
      state.ended = true;
    };
    const failed = read().catch((error: unknown) => error);
    return { write: (text: string) => void writer.write(Buffer.from(text)), end: () => void writer.close(), failed };
  };
  return { clock, state, over, start, ...start(towards), settle: () => clock.advance(0) };
}

test("nothing happens to a connection that no rule took", async () => {
  const host = { clock: fakeClock(), signal: new AbortController().signal, happened: () => {} };
  const chunks = (async function* () {
    yield Buffer.from("abc");
  })();
  expect(passages(undefined, host).client(chunks)).toBe(chunks);
});

describe("cut", () => {
  test("ends after its last byte, in the middle of a chunk", async () => {
    const { state, write, settle } = lane({ fault: "cut", afterBytes: 5 });
    write("abc");
    await settle();
    expect(state).toEqual({ out: "abc|", ended: false, happened: 0 });
    write("def");
    await settle();
    expect(state).toEqual({ out: "abc|de|", ended: true, happened: 1 });
  });

  test("ends with the last byte itself, and not one before", async () => {
    const { state, write, settle } = lane({ fault: "cut", afterBytes: 3 });
    write("ab");
    await settle();
    expect(state.ended).toBe(false);
    write("c");
    await settle();
    expect(state).toEqual({ out: "ab|c|", ended: true, happened: 1 });
  });

  test("ends at once after no byte", async () => {
    const { state, settle } = lane({ fault: "cut" });
    await settle();
    expect(state).toEqual({ out: "", ended: true, happened: 1 });
  });

  test("does not happen to what is shorter", async () => {
    const { state, write, end, settle } = lane({ fault: "cut", afterBytes: 5 });
    write("abc");
    end();
    await settle();
    expect(state).toEqual({ out: "abc|", ended: true, happened: 0 });
  });

  test("leaves the other direction alone", async () => {
    const { state, write, settle } = lane({ fault: "cut", towards: "server" }, "client");
    write("abc");
    await settle();
    expect(state).toEqual({ out: "abc|", ended: false, happened: 0 });
  });
});

describe("corrupt", () => {
  test.each([
    [0, 0, "`bc|def|"],
    [2, 1, "aba|def|"],
    [3, 5, "abc|Def|"],
    [6, 0, "abc|def|"],
  ])("flips, after %i bytes, bit %i: %s", async (afterBytes, bit, out) => {
    const { state, write, settle } = lane({ fault: "corrupt", afterBytes }, "client", bit);
    write("abc");
    write("def");
    await settle();
    expect(state).toEqual({ out, ended: false, happened: afterBytes < 6 ? 1 : 0 });
  });
});

describe("half-open", () => {
  test("passes nothing more in either direction, and not the end either", async () => {
    const { state, start, write, end, settle } = lane({ fault: "half-open", afterBytes: 4 });
    const other = start("server");
    other.write("xy");
    await settle();
    write("abc");
    await settle();
    expect(state).toEqual({ out: "xy|abc|", ended: false, happened: 0 });
    write("def");
    await settle();
    expect(state).toEqual({ out: "xy|abc|d|", ended: false, happened: 1 });
    other.write("z");
    write("ghi");
    other.end();
    end();
    await settle();
    expect(state).toEqual({ out: "xy|abc|d|", ended: false, happened: 1 });
  });

  test("ends as any connection where fewer bytes come", async () => {
    const { state, start, write, end, settle } = lane({ fault: "half-open", afterBytes: 4 });
    const other = start("server");
    write("abc");
    end();
    other.end();
    await settle();
    expect(state).toEqual({ out: "abc|", ended: true, happened: 0 });
  });

  test("passes nothing at all after no byte", async () => {
    const { state, write, settle } = lane({ fault: "half-open", towards: "server" }, "server");
    write("abc");
    await settle();
    expect(state).toEqual({ out: "", ended: false, happened: 1 });
  });
});

describe("delay", () => {
  test("has each chunk arrive so much later, however many are under way", async () => {
    const { clock, state, write, end, settle } = lane({ fault: "delay", delayMs: 100 });
    write("a");
    await settle();
    await clock.advance(60);
    write("b");
    end();
    await clock.advance(39);
    expect(state.out).toBe("");
    await clock.advance(1);
    expect(state).toEqual({ out: "a|", ended: false, happened: 1 });
    await clock.advance(59);
    expect(state.out).toBe("a|");
    await clock.advance(1);
    expect(state).toEqual({ out: "a|b|", ended: true, happened: 1 });
  });

  test("stops when the connection is over", async () => {
    const { clock, over, write, settle, failed } = lane({ fault: "delay", delayMs: 100 });
    write("a");
    await settle();
    over.abort("over");
    expect(await failed).toBe("over");
    expect(clock.pending).toBe(0);
  });
});

describe("throttle", () => {
  test("lets portions pass, no faster than it says", async () => {
    const { clock, state, write, settle } = lane({ fault: "throttle", bytesPerSecond: 100 });
    write("abcdef");
    await settle();
    expect(state.out).toBe("ab|");
    await clock.advance(19);
    expect(state.out).toBe("ab|");
    await clock.advance(1);
    expect(state.out).toBe("ab|cd|");
    await clock.advance(20);
    expect(state).toEqual({ out: "ab|cd|ef|", ended: false, happened: 1 });
  });

  test("saves nothing up while nothing comes", async () => {
    const { clock, state, write, settle } = lane({ fault: "throttle", bytesPerSecond: 100 });
    await clock.advance(10_000);
    write("abcdef");
    await settle();
    expect(state.out).toBe("ab|");
  });

  test("stops when the connection is over", async () => {
    const { clock, over, write, settle, failed } = lane({ fault: "throttle", bytesPerSecond: 1 });
    write("abc");
    await settle();
    over.abort("over");
    expect(await failed).toBe("over");
    expect(clock.pending).toBe(0);
  });
});
