import fc from "fast-check";
import { expect, test } from "vitest";
import { IdempotencyWorld } from "../support/idempotency-world.ts";

const names = Object.keys(new IdempotencyWorld().actions) as (keyof IdempotencyWorld["actions"])[];
const usual = ["call", "call", "call", "answer", "commit", "wait", "wait"] as const;
const name = fc.oneof(fc.constantFrom(...usual), fc.constantFrom(...names));
const action = fc.tuple(name, fc.noBias(fc.nat(11)), fc.noBias(fc.nat(9_999)));
const script = fc.array(action, { minLength: 6, maxLength: 40, size: "max" });

test("whatever crashes, stands still or is not heard: one run under a key is committed, and all are told its answer", {
  timeout: 60_000,
}, async () => {
  const seen = { takenOver: 0, committed: 0 };
  await fc.assert(
    fc.asyncProperty(script, async (script) => {
      const world = new IdempotencyWorld();
      for (const [name, which, value] of script) await world.actions[name](which, value);
      expect(await world.finish()).toEqual([]);
      seen.takenOver += world.takenOver;
      seen.committed += world.committed;
    }),
    { numRuns: 300 },
  );
  expect(seen.takenOver).toBeGreaterThan(10);
  expect(seen.committed).toBeGreaterThan(100);
});
