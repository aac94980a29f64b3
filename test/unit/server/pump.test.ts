import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test, vi } from "vitest";
import { pump } from "../../../src/server/pump.ts";

const never = () => false;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A handler's stream of 1, 2, 3, with a note of what it did. */
function oneTwoThree(noted: string[] = []) {
  return {
    noted,
    messages: (async function* () {
      try {
        for (const message of [1, 2, 3]) {
          noted.push(`yields ${message}`);
          yield message;
        }
      } finally {
        noted.push("cleans up");
      }
    })(),
  };
}

describe("pump", () => {
  test("sends every message in order", async () => {
    const sent: unknown[] = [];
    const { messages, noted } = oneTwoThree();
    await pump(messages, (message) => void sent.push(message), never);
    expect(sent).toEqual([1, 2, 3]);
    expect(noted).toEqual(["yields 1", "yields 2", "yields 3", "cleans up"]);
  });

  test("asks for the next message only once there is room for it", async () => {
    const room = Promise.withResolvers<void>();
    const { messages, noted } = oneTwoThree();
    const pumped = pump(messages, () => room.promise, never);
    await turn();
    expect(noted).toEqual(["yields 1"]);
    room.resolve();
    await pumped;
    expect(noted.at(-1)).toBe("cleans up");
  });

  test("leaves the handler at its next message once nobody reads", async () => {
    let stopped = false;
    const sent: unknown[] = [];
    const { messages, noted } = oneTwoThree();
    const send = (message: unknown) => {
      sent.push(message);
      stopped = message === 2;
      return undefined;
    };
    await pump(messages, send, () => stopped);
    expect(sent).toEqual([1, 2]);
    expect(noted).toEqual(["yields 1", "yields 2", "cleans up"]);
  });

  test("does not send what the handler yields after nobody reads", async () => {
    const send = vi.fn();
    const { messages, noted } = oneTwoThree();
    await pump(messages, send, () => true);
    expect(send).not.toHaveBeenCalled();
    expect(noted).toEqual(["yields 1", "cleans up"]);
  });

  test("throws what the handler throws", async () => {
    const error = new Error("from the handler");
    async function* failing() {
      yield 1;
      throw error;
    }
    await expect(pump(failing(), () => undefined, never)).rejects.toBe(error);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("no such message");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no such message"))],
  ])("lets the handler clean up when sending %s", async (_, send) => {
    const { messages, noted } = oneTwoThree();
    await expect(pump(messages, send, never)).rejects.toThrow("no such message");
    expect(noted).toEqual(["yields 1", "cleans up"]);
  });

  test("takes iterators without return()", async () => {
    const next = async () => ({ done: false as const, value: 1 });
    await pump(
      { [Symbol.asyncIterator]: () => ({ next }) },
      () => undefined,
      () => true,
    );
  });

  test("runs every step of a generator in its own context, finally included", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    async function* handler() {
      try {
        seen.push(storage.getStore());
        yield 1;
        seen.push(storage.getStore());
        yield 2;
      } finally {
        seen.push(storage.getStore());
      }
    }
    const sent: unknown[] = [];
    await storage.run("call", () =>
      pump(
        handler(),
        (message) => void sent.push(message),
        () => sent.length === 2,
      ),
    );
    expect(seen).toEqual(["call", "call", "call"]);
  });
});
