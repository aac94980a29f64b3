import { setImmediate } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { NiceRequests } from "../../../src/transport/nice-requests.ts";

type Next = IteratorResult<unknown, undefined>;

/** Requests whose iterator is in the test's hands. */
function requests(leave = async (): Promise<Next> => ({ done: true, value: undefined })) {
  const waits: PromiseWithResolvers<Next>[] = [];
  const left = vi.fn(leave);
  const next = () => {
    const wait = Promise.withResolvers<Next>();
    waits.push(wait);
    return wait.promise;
  };
  const read = new NiceRequests({ [Symbol.asyncIterator]: () => ({ next, return: left }) });
  return { read: read[Symbol.asyncIterator](), waits, left };
}

test("lets go of requests at once, though the next one is waited for, and hands on neither that nor their end", async () => {
  const { read, waits, left } = requests();
  const told = vi.fn();
  for (const wait of [read.next(), read.next()]) wait.then(told, told);
  read.stop();
  expect(left).toHaveBeenCalledTimes(1);
  waits[0]?.resolve({ done: false, value: "late" });
  waits[1]?.resolve({ done: true, value: undefined });
  read.next().then(told, told);
  await setImmediate();
  expect(told).not.toHaveBeenCalled();
  expect([waits.length, left.mock.calls.length]).toEqual([2, 1]);
});

test.each<[string, (wait: PromiseWithResolvers<Next> | undefined) => void]>([
  ["have ended", (wait) => wait?.resolve({ done: true, value: undefined })],
  ["have thrown", (wait) => wait?.reject(new Error("no more"))],
])("lets go of no requests that %s", async (_, end) => {
  const { read, waits, left } = requests();
  const last = read.next().catch(({ message }) => message);
  end(waits[0]);
  await last;
  read.stop();
  await read.return();
  expect(left).not.toHaveBeenCalled();
});

test("lets go of them once, and keeps to itself what they fail with after the call", async () => {
  const failing = requests(() => Promise.reject(new Error("while cleaning up")));
  failing.read.stop();
  failing.read.stop();
  await setImmediate();
  expect(await failing.read.return()).toEqual({ done: true, value: undefined });
  expect(failing.left).toHaveBeenCalledTimes(1);
});

test("leaves alone requests that were never asked for", () => {
  const asked = vi.fn();
  new NiceRequests({ [Symbol.asyncIterator]: asked }).stop();
  expect(asked).not.toHaveBeenCalled();
});
