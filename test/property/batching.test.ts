import fc from "fast-check";
import { test } from "vitest";
import { Batching, type BatchSeat } from "../../src/policy/batching.ts";
import { historyOf, pick, same, which, within } from "../support/histories.ts";

const HISTORIES = 10_000;

interface Work {
  readonly key: string;
  members: number;
  open: boolean;
}

type Step = { readonly do: "join"; readonly key: string } | { readonly do: "leave" | "end"; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("a", "b", "c").map((key) => ({ do: "join" as const, key })) },
  { weight: 3, arbitrary: which.map((which) => ({ do: "leave" as const, which })) },
  { weight: 1, arbitrary: which.map((which) => ({ do: "end" as const, which })) },
);

test("nobody is lost, mixed with other keys, or in a batch that is sent or too large; places given up are free", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 5 }), historyOf(step, 60), (maxSize, history) => {
      const batching = new Batching<Work>({ maxSize });
      const seats: BatchSeat<Work>[] = [];
      const left = new Set<BatchSeat<Work>>();
      const works = new Set<Work>();
      for (const step of history) {
        if (step.do === "join") {
          const seat = batching.join(step.key, () => ({ key: step.key, members: 0, open: true }));
          same("key", seat.work.key, step.key);
          same("open", seat.work.open, true);
          same("first", seat.first, !works.has(seat.work));
          works.add(seat.work);
          seat.work.members += 1;
          within("members", seat.work.members, 1, maxSize);
          same("full", seat.full, seat.work.members === maxSize);
          if (seat.full) seat.work.open = false;
          seats.push(seat);
        } else {
          const seat = pick(seats, step.which);
          if (!seat) continue;
          if (step.do === "end") {
            seat.end();
            seat.work.open = false;
          } else {
            const again = left.has(seat);
            left.add(seat);
            if (!again) seat.work.members -= 1;
            same("last", seat.leave(), !again && seat.work.members === 0);
            if (seat.work.members === 0) seat.work.open = false;
          }
        }
        const open = [...works].filter((work) => work.open);
        same("batches", batching.snapshot().open, open.length);
        same(
          "gathered",
          batching.snapshot().gathered,
          open.reduce((sum, { members }) => sum + members, 0),
        );
        same("one of a key", new Set(open.map(({ key }) => key)).size, open.length);
        same("the open ones", new Set([...batching.open(), ...open]).size, open.length);
      }
    }),
    { numRuns: HISTORIES },
  );
});
