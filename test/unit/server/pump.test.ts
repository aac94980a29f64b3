import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test, vi } from "vitest";
import { pump as pumpTo } from "../../../src/server/pump.ts";

const never = () => false;

/** Reads a handler's stream; `stop` says at any time that nobody reads any more. */
function pump(
  messages: AsyncIterable<unknown>,
  send: (message: unknown) => Promise<void> | undefined,
  stopped: () => boolean = never,
  onStop: (listener: () => void) => void = () => {},
): Promise<void> {
  return pumpTo(messages, { send, stopped, onStop });
}
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

  describe("when nobody reads any more in the middle of a step", () => {
    /** A pump whose reader goes away when the test says so. */
    function pumping(messages: AsyncIterable<unknown>) {
      let [isStopped, tell] = [false, () => {}];
      const sent: unknown[] = [];
      const send = (message: unknown) => void sent.push(message);
      const pumped = pump(
        messages,
        send,
        () => isStopped,
        (listener) => {
          tell = listener;
        },
      );
      const stop = () => {
        isStopped = true;
        tell();
      };
      return { pumped, stop, sent };
    }

    test("leaves a stream that can be left there, once", async () => {
      const pending = Promise.withResolvers<IteratorResult<unknown>>();
      const left = vi.fn(async () => {
        pending.resolve({ done: true, value: undefined });
        return { done: true as const, value: undefined };
      });
      const iterator = { next: () => pending.promise, return: left };
      const { pumped, stop } = pumping({ [Symbol.asyncIterator]: () => iterator });
      await turn();
      stop();
      stop();
      await pumped;
      expect(left).toHaveBeenCalledTimes(1);
    });

    test("lets a generator finish its step, and clean up", async () => {
      const step = Promise.withResolvers<void>();
      const noted: string[] = [];
      async function* handler() {
        try {
          await step.promise;
          noted.push("finished its step");
          yield 1;
          noted.push("went on");
        } finally {
          noted.push("cleaned up");
        }
      }
      const { pumped, stop, sent } = pumping(handler());
      await turn();
      stop();
      await turn();
      expect(noted).toEqual([]);
      step.resolve();
      await pumped;
      expect([noted, sent]).toEqual([["finished its step", "cleaned up"], []]);
    });

    test("throws what the stream throws when it is left", async () => {
      const pending = Promise.withResolvers<IteratorResult<unknown>>();
      const iterator = {
        next: () => pending.promise,
        return: () => Promise.reject(new Error("cannot leave")),
      };
      const { pumped, stop } = pumping({ [Symbol.asyncIterator]: () => iterator });
      await turn();
      stop();
      await turn();
      pending.resolve({ done: false, value: 1 });
      await expect(pumped).rejects.toThrow("cannot leave");
    });

    test("does not leave at a message that waits for room: the generator is left after it, in its own context", async () => {
      const room = Promise.withResolvers<void>();
      const { messages, noted } = oneTwoThree();
      let tell = () => {};
      let isStopped = false;
      const pumped = pump(
        messages,
        () => room.promise,
        () => isStopped,
        (listener) => {
          tell = listener;
        },
      );
      await turn();
      isStopped = true;
      tell();
      await turn();
      expect(noted).toEqual(["yields 1"]);
      room.resolve();
      await pumped;
      expect(noted).toEqual(["yields 1", "cleans up"]);
    });
  });
});
