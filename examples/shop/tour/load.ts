import { setTimeout as sleep } from "node:timers/promises";

/** Does each of `count` pieces of work, at most so many at a time; the results in order. */
export async function inParallel<T>(atOnce: number, count: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const n = next++;
      results[n] = await work(n);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/** The third, sixth and ninth of each ten, up to `most`. */
export function threeOfTen(most: number): number[] {
  return Array.from({ length: most }, (_, n) => n + 1).filter((n) => [3, 6, 9].includes(n % 10));
}

/** Waits until something is so; gives up, with an error, when it still is not after 30 s, or as long as is said. */
export async function until(what: string, isSo: () => unknown, longestMs = 30_000): Promise<void> {
  const giveUpAt = performance.now() + longestMs;
  while (!(await isSo())) {
    if (performance.now() > giveUpAt) throw new Error(`waited in vain until ${what}`);
    await sleep(10);
  }
}

/** All messages of a stream. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const messages: T[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}
