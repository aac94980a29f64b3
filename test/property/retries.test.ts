import fc from "fast-check";
import { expect, test } from "vitest";
import { RetryWorld } from "../support/retry-world.ts";

const names = Object.keys(new RetryWorld().actions) as (keyof RetryWorld["actions"])[];
const usual = ["unary", "stream", "fail", "fail", "fail", "fail", "pass", "pass", "turn", "read", "headers"] as const;
const name = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...usual) }, fc.constantFrom(...names));
// Four digits, each of which decides something.
const action = fc.tuple(name, fc.noBias(fc.nat(11)), fc.noBias(fc.nat(9_999)));
const script = fc.array(action, { minLength: 8, maxLength: 32, size: "max" });

test("whatever happens when, a call settles once, keeps to its attempts, and leaves nothing behind", {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(script, async (script) => {
      const world = new RetryWorld();
      for (const [name, which, value] of script) await world.actions[name](which, value);
      expect(await world.finish()).toEqual([]);
    }),
    { numRuns: 10_000 },
  );
});
