import fc from "fast-check";
import { expect, test } from "vitest";
import { HedgeWorld } from "../support/hedge-world.ts";

const names = Object.keys(new HedgeWorld().actions) as (keyof HedgeWorld["actions"])[];
const usual = ["call", "fail", "fail", "fail", "pass", "pass", "pass", "succeed", "turn", "headers"] as const;
const name = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...usual) }, fc.constantFrom(...names));
// Four digits, each of which decides something.
const action = fc.tuple(name, fc.noBias(fc.nat(11)), fc.noBias(fc.nat(9_999)));
const script = fc.array(action, { minLength: 8, maxLength: 18, size: "max" });

test("whatever happens when, a call that is hedged settles once, keeps to its attempts, and leaves nothing behind", {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(script, async (script) => {
      const world = new HedgeWorld();
      for (const [name, which, value] of script) await world.actions[name](which, value);
      expect(await world.finish()).toEqual([]);
    }),
    { numRuns: 10_000 },
  );
});
