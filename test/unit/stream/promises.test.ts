import { createHook } from "node:async_hooks";
import { filter, map, type OperatorStream, take, tap } from "bowline/stream";
import { expect, test } from "vitest";

/** Counts the promises that are made while a stream is read. */
async function promisesOf(stream: AsyncIterable<number>): Promise<number> {
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
