import fc from "fast-check";
import { test } from "vitest";
import { historyOf } from "../support/histories.ts";
import { UpdatedWorld, updatedStep } from "../support/updated-world.ts";

test("10,000 histories of calls and streams whose policies change leave nothing behind", async () => {
  await fc.assert(
    fc.asyncProperty(historyOf(updatedStep, 40), async (history) => {
      const world = new UpdatedWorld();
      for (const step of history) await world.take(step);
      await world.end();
    }),
    { numRuns: 10_000 },
  );
});
