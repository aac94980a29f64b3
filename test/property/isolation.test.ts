import fc from "fast-check";
import { test } from "vitest";
import { ClientThrottle, type ThrottlePermit } from "../../src/policy/client-throttle.ts";
import { Gradient2 } from "../../src/policy/gradient2.ts";
import { bulkheadSettings, bulkheadStep, ComparedBulkheads } from "../support/compared-bulkheads.ts";
import { historyOf, passing, pick, same, sameFields, start, which, within } from "../support/histories.ts";

const HISTORIES = 10_000;

test("bulkheads and the limit they share lose no permit and no place, keep their bounds, and let in who came first", () => {
  fc.assert(
    fc.property(bulkheadSettings, start, historyOf(bulkheadStep, 60), (settings, start, history) => {
      const compared = new ComparedBulkheads(settings, start);
      for (const step of history) {
        compared.take(step);
        compared.check();
      }
      compared.endAll();
      compared.check();
    }),
    { numRuns: HISTORIES },
  );
});

test("a limit stays within its bounds, and moves by no more than a sample may move it", () => {
  const sample = fc.record({
    shortMs: fc.oneof(fc.double({ min: 0.1, max: 1e6, noNaN: true }), fc.constant(undefined)),
    inFlight: fc.nat(300),
    droppedRatio: fc.constantFrom(0, 0, 0.01, 0.5, 1),
  });
  const bounds = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.nat(50), fc.nat(200));
  const smoothing = fc.constantFrom(0.05, 0.2, 1);
  fc.assert(
    fc.property(bounds, smoothing, historyOf(sample, 60), ([minLimit, more, most], smoothing, samples) => {
      const initialLimit = minLimit + more;
      const maxLimit = initialLimit + most;
      const gradient = new Gradient2({ initialLimit, minLimit, maxLimit, tolerance: 1.5, smoothing });
      for (const sample of samples) {
        const before = gradient.limit;
        gradient.update(sample);
        within("limit", gradient.limit, minLimit, maxLimit);
        // It grows by what may queue, and falls by half, before either is smoothed; and it is whole.
        within("step", gradient.limit, Math.floor(before * (1 - smoothing / 2)), before + 1 + 4 * smoothing);
        if (sample.inFlight < before / 2) same("held", gradient.limit, before);
        within("usual latency", gradient.longMs, 0, 1e6);
      }
    }),
    { numRuns: HISTORIES },
  );
});

type Step =
  | { readonly do: "call"; readonly chance: number }
  | { readonly do: "end"; readonly which: number; readonly how: "success" | "failure" | "ignore" }
  | { readonly do: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.nat(99).map((percent) => ({ do: "call" as const, chance: percent / 100 })) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(which, fc.constantFrom("success", "success", "failure", "failure", "failure", "ignore"))
      .map(([which, how]) => ({ do: "end" as const, which, how })),
  },
  { weight: 1, arbitrary: passing.map((ms) => ({ do: "pass" as const, ms })) },
);

test("a throttle rejects exactly where chance falls below what a list of all outcomes says", () => {
  const k = fc.constantFrom(1, 1.1, 2, 3);
  fc.assert(
    fc.property(k, start, historyOf(step, 60), (k, start, history) => {
      let [now, chance] = [start, 0];
      const throttle = new ClientThrottle({ k, windowMs: 1_000 }, { now: () => now }, () => chance);
      const slice = (at: number) => Math.floor(at / 100);
      const outcomes: { readonly at: number; readonly accepted: boolean }[] = [];
      const permits: ThrottlePermit[] = [];
      const settled = new Set<ThrottlePermit>();
      const listed = () => {
        const kept = outcomes.filter(({ at }) => slice(at) > slice(now) - 10);
        const accepts = kept.filter(({ accepted }) => accepted).length;
        const probability = Math.max(0, (kept.length - k * accepts) / (kept.length + 1));
        return { requests: kept.length, accepts, probability };
      };
      for (const step of history) {
        if (step.do === "pass") now += step.ms;
        if (step.do === "call") {
          chance = step.chance;
          const { probability } = listed();
          const entry = throttle.tryAcquire();
          same("granted", entry.granted, chance >= probability);
          if (entry.granted) permits.push(entry);
          else outcomes.push({ at: now, accepted: false });
        }
        // Some end more than once, and much later.
        const ended = step.do === "end" ? pick(permits, step.which) : undefined;
        if (step.do === "end" && ended) {
          ended[step.how]();
          if (!settled.has(ended) && step.how !== "ignore")
            outcomes.push({ at: now, accepted: step.how === "success" });
          settled.add(ended);
        }
        sameFields(throttle.snapshot(), listed());
      }
    }),
    { numRuns: HISTORIES },
  );
});
