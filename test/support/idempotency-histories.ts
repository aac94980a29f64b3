import fc from "fast-check";
import { expect } from "vitest";
import { IdempotencyWorld } from "./idempotency-world.ts";

const names = Object.keys(new IdempotencyWorld().actions) as (keyof IdempotencyWorld["actions"])[];
const usual = ["call", "call", "call", "answer", "commit", "wait", "wait"] as const;
const name = fc.oneof(fc.constantFrom(...usual), fc.constantFrom(...names));
const action = fc.tuple(name, fc.noBias(fc.nat(11)), fc.noBias(fc.nat(9_999)));
const script = fc.array(action, { minLength: 6, maxLength: 40, size: "max" });

/** Plays so many random histories of two servers on one store, and expects nothing wrong with any of them. */
export async function playIdempotencyHistories(numRuns: number): Promise<void> {
  const seen = { takenOver: 0, committed: 0 };
  await fc.assert(
    fc.asyncProperty(script, async (script) => {
      const world = new IdempotencyWorld();
      for (const [name, which, value] of script) await world.actions[name](which, value);
      expect(await world.finish()).toEqual([]);
      seen.takenOver += world.takenOver;
      seen.committed += world.committed;
    }),
    { numRuns },
  );
  // Where nothing crashed and nothing was committed, nothing would have been shown.
  expect(seen.takenOver).toBeGreaterThan(numRuns / 20);
  expect(seen.committed).toBeGreaterThan(numRuns / 5);
}
