import fc from "fast-check";
import { expect, test } from "vitest";
import { fakeClock, seededRandom } from "../../src/testing/index.ts";
import { matches } from "../../src/testing/matches.ts";

test("fakeClock fires every timer in the order of due time, then of making, at its own instant", async () => {
  const delays = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 12 });
  const steps = fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(delays, steps, async (delays, steps) => {
      const clock = fakeClock();
      const fired: { delay: number; index: number }[] = [];
      delays.forEach((delay, index) => {
        clock.setTimer(delay, () => {
          expect(clock.now()).toBe(delay);
          fired.push({ delay, index });
        });
      });
      for (const step of steps) await clock.advance(step);
      const end = steps.reduce((sum, step) => sum + step, 0);
      const due = delays.map((delay, index) => ({ delay, index })).filter(({ delay }) => delay <= end);
      expect(fired).toEqual(due.sort((a, b) => a.delay - b.delay || a.index - b.index));
      expect(clock.pending).toBe(delays.length - due.length);
      expect(clock.now()).toBe(end);
    }),
    { numRuns: 60 },
  );
});

test("seededRandom stays from 0 up to, not including, 1, and repeats itself", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (seed) => {
      const [a, b] = [seededRandom(seed), seededRandom(seed)];
      for (let n = 0; n < 50; n++) {
        const value = a();
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThan(1);
        expect(b()).toBe(value);
      }
    }),
  );
});

test("a scripted server's match takes any part of a message, and no message whose part is another", () => {
  const leaf = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.bigInt(), fc.date(), fc.uint8Array());
  const { message } = fc.letrec((tie) => ({
    message: fc.dictionary(fc.string(), tie("field"), { maxKeys: 4 }),
    field: fc.oneof({ weight: 3, arbitrary: leaf }, tie("message"), fc.array(tie("message"), { maxLength: 3 })),
  }));
  fc.assert(
    fc.property(message as fc.Arbitrary<Record<string, unknown>>, fc.array(fc.boolean()), (whole, kept) => {
      const part = Object.fromEntries(Object.entries(whole).filter((_, index) => kept[index] ?? true));
      expect(matches(whole, part)).toBe(true);
      for (const key of Object.keys(part)) {
        expect(matches(whole, { ...part, [key]: Symbol("another") })).toBe(false);
      }
    }),
  );
});
