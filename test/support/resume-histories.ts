import fc from "fast-check";
import { expect } from "vitest";
import { ResumeWorld } from "./resume-world.ts";

const history = fc.record({
  ordered: fc.boolean(),
  start: fc.constantFrom(0, 0, 1, 5, 20),
  fromStart: fc.boolean(),
  limit: fc.constantFrom(0, 0, 0, 3, 8),
  deadline: fc.constantFrom(false, false, true),
});
const plain = { ordered: true, start: 1, fromStart: false, limit: 0, deadline: false };
const names = Object.keys(new ResumeWorld(plain).actions) as (keyof ResumeWorld["actions"])[];
const usual = ["read", "read", "read", "send", "send", "resend", "cut", "lossyCut", "pass", "pass", "turn"] as const;
const name = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...usual) }, fc.constantFrom(...names));
const script = fc.array(fc.tuple(name, fc.noBias(fc.nat(999))), { minLength: 8, maxLength: 40, size: "max" });

/** Plays so many random histories of a stream that resumes; what is wrong in one fails the test, with its seed. */
export async function playHistories(count: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(history, script, async (history, script) => {
      const world = new ResumeWorld(history);
      for (const [name, value] of script) await world.actions[name](value);
      expect(await world.finish()).toEqual([]);
    }),
    { numRuns: count },
  );
}
