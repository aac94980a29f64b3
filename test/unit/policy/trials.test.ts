import { describe, expect, test } from "vitest";
import { type TrialOptions, Trials } from "../../../src/policy/trials.ts";

const OPTIONS = { trials: 5, failureRatio: 0.5, slowRatio: 0.8, trialTimeoutMs: 1_000 };

function someTrials(changes: Partial<TrialOptions> = {}): Trials<ReturnType<typeof since>> {
  return new Trials({ ...OPTIONS, ...changes });
}

/** A trial that is given up after a second. @param stalledMs for how long the process stood still meanwhile. */
function since(since: number, stalledMs = 0) {
  return { since, until: since + 1_000, stalledMs: () => stalledMs };
}

/** Results as letters: F failed, S slow, B both, a dot neither. @returns what each decided: o, c or a dash. */
function decided(outcomes: string, changes: Partial<TrialOptions> = {}): string {
  const trials = someTrials(changes);
  return [...outcomes].map((of) => trials.add("FB".includes(of), "SB".includes(of))?.[0] ?? "-").join("");
}

describe("what results decide, as soon as those to come cannot change it", () => {
  test.each<[string, Partial<TrialOptions>, string, string]>([
    ["half of five is three", {}, "FFF", "--o"],
    ["three good ones close", {}, "...", "--c"],
    ["whatever came between", {}, "F.F.F", "----o"],
    ["two bad ones are made good", {}, "FF...", "----c"],
    ["slow at four of five", {}, "SSSS", "---o"],
    ["not at three", {}, "SSS..", "----c"],
    ["a slow failure is both", {}, "BBB", "--o"],
    ["one trial that fails opens", { trials: 1 }, "F", "o"],
    ["one trial that succeeds closes", { trials: 1 }, ".", "c"],
    ["exactly half of two opens", { trials: 2 }, "F", "o"],
    ["none of two may fail", { trials: 2 }, "..", "-c"],
    ["a ratio of 1 opens when all fail", { failureRatio: 1, slowRatio: 1 }, "FFFFF", "----o"],
    ["and closes with the first that does not and is not slow", { failureRatio: 1, slowRatio: 1 }, ".", "c"],
    ["a tiny ratio opens at the first failure", { failureRatio: 1e-9 }, "....F", "----o"],
    ["and closes when none failed", { failureRatio: 1e-9 }, ".....", "----c"],
    ["seven of a hundred reach 0.07", { trials: 100, failureRatio: 0.07 }, "FFFFFFF", "------o"],
    ["three of ten reach 0.3", { trials: 10, failureRatio: 0.3 }, "FFF", "--o"],
  ])("%s", (_, changes, outcomes, decisions) => {
    expect(decided(outcomes, changes)).toBe(decisions);
  });

  test.each([1, 2, 3, 7, 25, 50])("of %d it is what the ratio of all says, at every whole per cent", (trials) => {
    const percents = Array.from({ length: 100 }, (_, n) => n + 1);
    const failures = Array.from({ length: trials + 1 }, (_, n) => n);
    const wrong = percents.flatMap((percent) =>
      failures.filter((failed) => {
        const outcomes = "F".repeat(failed) + ".".repeat(trials - failed);
        const [first] = decided(outcomes, { trials, failureRatio: percent / 100 }).replaceAll("-", "");
        return first !== (failed * 100 >= percent * trials ? "o" : "c");
      }),
    );
    expect(wrong).toEqual([]);
  });
});

describe("room", () => {
  test("is for as many as decide, those that have ended included", () => {
    const trials = someTrials({ trials: 2 });
    const first = since(0);
    trials.begin(first);
    expect([trials.hasRoom, trials.underWay]).toEqual([true, 1]);
    trials.begin(since(0));
    expect([trials.hasRoom, trials.underWay]).toEqual([false, 2]);
    trials.remove(first);
    expect([trials.hasRoom, trials.underWay]).toEqual([true, 1]);
    trials.add(false, false);
    expect([trials.hasRoom, trials.underWay]).toEqual([false, 1]);
  });

  test("is free again after reset, and the results are gone", () => {
    const trials = someTrials({ trials: 1 });
    trials.begin(since(0));
    trials.add(true, true);
    expect(trials.results).toEqual({ calls: 1, failures: 1, slow: 1 });
    trials.reset();
    expect([trials.hasRoom, trials.underWay, trials.results]).toEqual([true, 0, { calls: 0, failures: 0, slow: 0 }]);
  });
});

describe("a trial that hangs", () => {
  test("does so at its timeout, and not 1 ms before", () => {
    const trials = someTrials();
    const [early, late] = [since(100.5), since(600.5)];
    trials.begin(early);
    trials.begin(late);
    expect(trials.hanging(1_099.5)).toEqual([]);
    expect(trials.hanging(1_100.5)).toEqual([early]);
    expect(trials.hanging(9_999)).toEqual([early, late]);
    expect(trials.underWay).toBe(2);
  });

  test("makes room when the first is given up, which may have begun last", () => {
    const trials = someTrials({ trials: 2 });
    trials.begin({ since: 0, until: 30_000, stalledMs: () => 0 });
    trials.begin({ since: 100, until: 2_100, stalledMs: () => 0 });
    expect(trials.freeAfterMs(600)).toBe(1_500);
  });

  test("makes room when the oldest is given up, where there is none before", () => {
    const trials = someTrials({ trials: 2 });
    expect(trials.freeAfterMs(50)).toBe(0);
    const oldest = since(100);
    trials.begin(oldest);
    expect(trials.freeAfterMs(50)).toBe(0);
    trials.begin(since(600));
    expect([trials.freeAfterMs(600), trials.freeAfterMs(1_100), trials.freeAfterMs(5_000)]).toEqual([500, 0, 0]);
    trials.remove(oldest);
    trials.add(false, false);
    expect(trials.freeAfterMs(600)).toBe(1_000);
  });
});

test.each([
  ["not given up for time in which the process stood still", 400, 1_600],
  ["given up after twice its time, however long the process stood still", 5_000, 2_200],
])("B4 a trial is %s", (_, stalledMs, endsAt) => {
  const trials = someTrials({ trials: 1 });
  const trial = since(200, stalledMs);
  trials.begin(trial);
  expect(trials.freeAfterMs(1_000)).toBe(endsAt - 1_000);
  expect(trials.hanging(endsAt - 1)).toEqual([]);
  expect(trials.hanging(endsAt)).toEqual([trial]);
});
