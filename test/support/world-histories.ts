import fc from "fast-check";
import { expect } from "vitest";
import { BroadcastWorld, type WorldPlan } from "./broadcast-world.ts";
import { HedgeWorld } from "./hedge-world.ts";
import { RetryWorld } from "./retry-world.ts";
import { SharingWorld } from "./sharing-world.ts";

/** What a world's actions are told besides their name: whom, and four digits, each of which decides something. */
type Steps<Name> = readonly (readonly [name: Name, which: number, value: number])[];

interface World<Name extends string> {
  readonly actions: Readonly<Record<Name, (which: number, value: number) => unknown>>;
  /** What is wrong once all has ended. */
  finish(): Promise<readonly unknown[]>;
}

interface Lengths {
  readonly minLength?: number;
  readonly maxLength: number;
}

/** Three steps of four are of what is usual, each in proportion to how often it stands there. */
function stepsOf<Name extends string>(usual: readonly Name[], rare: readonly Name[], lengths: Lengths) {
  const name = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...usual) }, fc.constantFrom(...rare));
  return fc.array(fc.tuple(name, fc.noBias(fc.nat(11)), fc.noBias(fc.nat(9_999))), { ...lengths, size: "max" });
}

async function play<Name extends string>(world: World<Name>, steps: Steps<Name>): Promise<void> {
  for (const [name, which, value] of steps) await world.actions[name](which, value);
  expect(await world.finish()).toEqual([]);
}

/** Plays so many random histories of worlds that begin alike; what is wrong in one fails the test, with its seed. */
function player<Name extends string>(begin: () => World<Name>, usual: readonly Name[], lengths: Lengths) {
  const steps = stepsOf(usual, Object.keys(begin().actions) as Name[], lengths);
  return (count: number): Promise<void> =>
    fc.assert(
      fc.asyncProperty(steps, (steps) => play(begin(), steps)),
      { numRuns: count },
    );
}

/** Histories of calls that are hedged. */
export const playHedges: (count: number) => Promise<void> = player(
  () => new HedgeWorld(),
  ["call", "fail", "fail", "fail", "pass", "pass", "pass", "succeed", "turn", "headers"],
  { minLength: 8, maxLength: 18 },
);

/** Histories of calls and streams that are tried again. */
export const playRetries: (count: number) => Promise<void> = player(
  () => new RetryWorld(),
  ["unary", "stream", "fail", "fail", "fail", "fail", "pass", "pass", "turn", "read", "headers"],
  { minLength: 8, maxLength: 32 },
);

/** Histories of callers that share calls. */
export const playSharing: (count: number) => Promise<void> = player(
  () => new SharingWorld(),
  ["call", "call", "call", "leave", "pass", "turn"],
  { maxLength: 24 },
);

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

/** Histories of subscribers of a broadcast, each with a log behind it of another kind. */
export async function playBroadcasts(count: number): Promise<void> {
  const steps = stepsOf<keyof BroadcastWorld["actions"]>(
    ["commit", "commit", "publish", "publish", "read", "read", "answer", "answer", "tick", "turn"],
    ["publishAll", "repeat", "subscribe", "subscribe", "readMuch", "fail", "leave", "abort"],
    { minLength: 8, maxLength: 40 },
  );
  const property = fc.asyncProperty(plan, steps, async (plan, steps) => {
    const world = new BroadcastWorld(plan);
    world.actions.subscribe(0, 1);
    await play(world, steps);
  });
  await fc.assert(property, { numRuns: count });
}
