import { createHook } from "node:async_hooks";
import {
  batch,
  buffer,
  filter,
  latest,
  map,
  mapConcurrent,
  merge,
  type OperatorStream,
  take,
  tap,
  timeoutBetween,
} from "bowline/stream";
import { expect, test } from "vitest";

/** Counts the promises that are made while a stream is read. */
async function promisesOf(stream: AsyncIterable<unknown>): Promise<number> {
  let made = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === "PROMISE") made += 1;
    },
  });
  hook.enable();
  for await (const _ of stream);
  hook.disable();
  return made;
}

const MESSAGES = 1_000;

async function* count(): AsyncGenerator<number> {
  for (let message = 0; message < MESSAGES; message += 1) yield message;
}

test.each<[string, (source: AsyncIterable<number>) => OperatorStream<number>]>([
  ["map", (source) => map(source, (message) => message + 1)],
  ["filter", (source) => filter(source, () => true)],
  ["take", (source) => take(source, MESSAGES + 1)],
  ["tap", (source) => tap(source, () => {})],
])("%s adds one promise per message, however many there are of it", async (_, operator) => {
  const bare = await promisesOf(count());
  for (const [operators, stream] of [operator(count()), operator(operator(count()))].entries()) {
    const added = (await promisesOf(stream)) - bare;
    expect(added / MESSAGES).toBeGreaterThan(operators + 0.9);
    expect(added / MESSAGES).toBeLessThan(operators + 1.1);
  }
});

test.each<[string, number, (source: AsyncIterable<number>) => AsyncIterable<unknown>]>([
  ["batch", 1.2, (source) => batch(source, 10, 1_000)],
  ["buffer", 2, (source) => buffer(source)],
  ["latest", 2, (source) => latest(source)],
  ["merge", 2, (source) => merge([source])],
  ["timeoutBetween", 2, (source) => timeoutBetween(source, 1_000)],
  ["map with a signal", 3, (source) => map(source, (message) => message, { signal: new AbortController().signal })],
  ["mapConcurrent", 2, (source) => mapConcurrent(source, 1, (message) => message)],
])("%s, which need not wait for its source when it ends, adds at most %d", async (_, most, operator) => {
  const bare = await promisesOf(count());
  const added = (await promisesOf(operator(count()))) - bare;
  expect(added / MESSAGES).toBeLessThan(most + 0.1);
});
