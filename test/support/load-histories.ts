import fc from "fast-check";
import { CRITICALITIES, type Criticality } from "../../src/core/criticality.ts";
import { historyOf, which } from "./histories.ts";
import { type Kind, LoadWorld } from "./load-world.ts";

type Step =
  | {
      readonly do: "call";
      readonly criticality: Criticality | undefined;
      readonly withinMs: number;
      readonly kind: Kind;
    }
  | { readonly do: "answer"; readonly which: number }
  | { readonly do: "answerAndLeave"; readonly which: number }
  | { readonly do: "fail"; readonly which: number }
  | { readonly do: "leave"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "lag"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("call" as const),
      criticality: fc.constantFrom(undefined, ...CRITICALITIES),
      withinMs: fc.constantFrom(5, 30, 60, 1_000, Number.POSITIVE_INFINITY),
      kind: fc.constantFrom<Kind>("unary", "unary", "upload", "stream", "stream", "unread"),
    }),
  },
  { weight: 5, arbitrary: which.map((which) => ({ do: "answer" as const, which })) },
  { weight: 1, arbitrary: which.map((which) => ({ do: "answerAndLeave" as const, which })) },
  { weight: 1, arbitrary: which.map((which) => ({ do: "fail" as const, which })) },
  { weight: 2, arbitrary: which.map((which) => ({ do: "leave" as const, which })) },
  { weight: 3, arbitrary: fc.constantFrom(0, 1, 5, 40, 1_000).map((ms) => ({ do: "pass" as const, ms })) },
  { weight: 1, arbitrary: fc.constantFrom(0, 0, 150, 450).map((ms) => ({ do: "lag" as const, ms })) },
);

/** Runs so many histories of calls in front of a gate: nothing is left behind, and no bound is passed. */
export function checkLoadHistories(numRuns: number): Promise<void> {
  const limit = fc.integer({ min: 1, max: 4 });
  return fc.assert(
    fc.asyncProperty(limit, fc.nat(3), historyOf(step, 40), async (limit, maxQueued, history) => {
      const world = new LoadWorld(limit, maxQueued);
      for (const step of history) {
        if (step.do === "call") world.call(step.criticality, step.withinMs, step.kind);
        else if (step.do === "pass") await world.clock.advance(step.ms);
        else if (step.do === "lag") world.lag(step.ms);
        else world[step.do](step.which);
        world.check();
      }
      const problems = await world.finish();
      if (problems.length > 0) throw new Error(problems.join("; "));
    }),
    { numRuns },
  );
}
