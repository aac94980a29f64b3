import fc from "fast-check";
import { expect, test } from "vitest";
import { BroadcastWorld, type WorldPlan } from "../support/broadcast-world.ts";

const plan: fc.Arbitrary<WorldPlan> = fc.record({
  history: fc.nat(5),
  maxLagMessages: fc.integer({ min: 1, max: 4 }),
  onLag: fc.constantFrom("disconnect", "replay", "drop-oldest"),
  reading: fc.constantFrom("page", "late page", "snapshot", "moving"),
  pageSize: fc.integer({ min: 1, max: 3 }),
  filters: fc.boolean(),
  isInclusive: fc.boolean(),
  saysStart: fc.boolean(),
  rowsBefore: fc.nat(6),
});

type Name = keyof BroadcastWorld["actions"];
const usual: Name[] = ["commit", "commit", "publish", "publish", "read", "read", "answer", "answer", "tick", "turn"];
const rare: Name[] = ["publishAll", "repeat", "subscribe", "subscribe", "readMuch", "fail", "leave", "abort"];
const name = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...usual) }, fc.constantFrom(...rare));
// Two digits, each of which decides something.
const action = fc.tuple(name, fc.noBias(fc.nat(11)), fc.noBias(fc.nat(9_999)));
const script = fc.array(action, { minLength: 8, maxLength: 40, size: "max" });

test("each subscriber gets what is after its cursor and passes its filter, in order, once, whatever happens when", {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(plan, script, async (plan, script) => {
      const world = new BroadcastWorld(plan);
      world.actions.subscribe(0, 1);
      for (const [name, which, value] of script) await world.actions[name](which, value);
      expect(await world.finish()).toEqual([]);
    }),
    { numRuns: 10_000 },
  );
});
