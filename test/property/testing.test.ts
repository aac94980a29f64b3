import fc from "fast-check";
import { expect, test } from "vitest";
import { fakeClock, seededRandom } from "../../src/testing/index.ts";

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
