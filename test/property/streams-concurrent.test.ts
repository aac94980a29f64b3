import { setImmediate } from "node:timers/promises";
import { mapConcurrent, merge } from "bowline/stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { MessageSource, readAll, sourceOf } from "../support/message-source.ts";

const sizes = fc.array(fc.integer({ min: 0, max: 8 }), { maxLength: 5 });

test("merge hands out every message of every source, those of each in order, each source one ahead at most", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.array(fc.nat({ max: 4 }), { maxLength: 20 }), async (counts, turns) => {
      const sources = counts.map((count, source) =>
        sourceOf(...Array.from({ length: count }, (_, index) => ({ source, index }))),
      );
      const perSource = counts.map((): number[] => []);
      let read = 0;
      for await (const { source, index } of merge(sources)) {
        perSource[source]?.push(index);
        for (let turn = 0; turn < (turns[read] ?? 0); turn += 1) await setImmediate();
        read += 1;
        for (const [one, { taken }] of sources.entries()) {
          expect(taken - (perSource[one]?.length ?? 0)).toBeLessThanOrEqual(1);
        }
      }
      expect(perSource).toEqual(counts.map((count) => Array.from({ length: count }, (_, index) => index)));
      expect(sources.map(({ returns }) => returns)).toEqual(counts.map(() => 0));
    }),
    { numRuns: 200 },
  );
});

test("merge lets a message wait for at most one of each other source", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 30 }), async (others, before) => {
      const quiet = new MessageSource<string>();
      const busy = Array.from({ length: others }, () => sourceOf(...Array.from({ length: 100 }, () => "busy")));
      const stream = merge([quiet, ...busy]);
      for (let read = 0; read < before; read += 1) await stream.next();
      // Asked for, so that it is in the queue as soon as it comes.
      await stream.next();
      quiet.give("quiet");
      await setImmediate();
      const next = [];
      for (let read = 0; read <= others; read += 1) next.push((await stream.next()).value);
      expect(next).toContain("quiet");
      await stream.return();
    }),
    { numRuns: 100 },
  );
});

/** One action on a `mapConcurrent` in the test's hands. */
const step = fc.oneof(
  fc.record({ do: fc.constant("finish" as const), which: fc.nat({ max: 9 }) }),
  fc.record({ do: fc.constantFrom("read" as const, "turn" as const), which: fc.constant(0) }),
);

test.each([true, false])(
  "mapConcurrent, ordered %s, keeps every message and its bound, whichever ends when",
  async (ordered) => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 40 }),
        async (concurrency, script) => {
          const source = sourceOf(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
          const works = Array.from({ length: 10 }, () => Promise.withResolvers<void>());
          const finished: number[] = [];
          let [working, most] = [0, 0];
          const work = async (message: number) => {
            working += 1;
            most = Math.max(most, working);
            await works[message]?.promise;
            working -= 1;
            finished.push(message);
            return message;
          };
          const stream = mapConcurrent(source, concurrency, work, { ordered });
          const delivered: (number | undefined)[] = [];
          const actions = {
            read: () => void stream.next().then(({ done, value }) => done || delivered.push(value)),
            finish: (which: number) => works[which]?.resolve(),
            turn: () => setImmediate(),
          };
          for (const one of script) {
            await actions[one.do](one.which);
            if (one.do === "turn") expect(source.taken - delivered.length).toBeLessThanOrEqual(concurrency);
          }
          for (const { resolve } of works) resolve();
          for await (const message of stream) delivered.push(message);
          expect(most).toBeLessThanOrEqual(concurrency);
          expect(delivered).toEqual(ordered ? [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] : finished);
          expect(source.returns).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  },
);

test("what came before an error is handed out before it, whichever source and work fails", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 5 }),
      fc.nat({ max: 7 }),
      fc.integer({ min: 1, max: 4 }),
      async (count, failsAt, concurrency) => {
        const source = new MessageSource<number>();
        source.give(...Array.from({ length: count }, (_, index) => index));
        source.fail("the source");
        const results: number[] = [];
        const read = async () => {
          const work = async (message: number) => (message === failsAt ? Promise.reject("the work") : message);
          for await (const message of mapConcurrent(source, concurrency, work)) results.push(message);
        };
        await expect(read()).rejects.toBe(failsAt < count ? "the work" : "the source");
        expect(results).toEqual(Array.from({ length: Math.min(count, failsAt) }, (_, index) => index));
        expect(source.returns).toBe(source.ended ? source.returns : 1);
        expect(source.returns).toBeLessThanOrEqual(failsAt < count ? 1 : 0);
      },
    ),
    { numRuns: 200 },
  );
});

test("a merge of no source ends", async () => {
  expect(await readAll(merge([]))).toEqual([]);
});
