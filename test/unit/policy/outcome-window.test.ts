import { describe, expect, test } from "vitest";
import { CountWindow, type OutcomeWindow, reaches, TimeWindow } from "../../../src/policy/outcome-window.ts";

const HOUR = 3_600_000;
const NOTHING = { calls: 0, failures: 0, slow: 0 };

const counts = ({ calls, failures, slow }: OutcomeWindow) => ({ calls, failures, slow });

describe.each<[string, () => OutcomeWindow]>([
  ["a time window", () => new TimeWindow(1_000)],
  ["a count window", () => new CountWindow(10, 1_000)],
])("%s", (_, make) => {
  test("counts failures and slow calls, and what is both as both", () => {
    const window = make();
    window.add(0, false, false);
    window.add(0, true, false);
    window.add(0, false, true);
    window.add(0, true, true);
    expect(counts(window)).toEqual({ calls: 4, failures: 2, slow: 2 });
    expect(window.at(0)).toEqual(counts(window));
  });

  test("B2 has forgotten after its time, and not a moment before", () => {
    const window = make();
    window.add(0, true, true);
    expect(window.at(999.9)).toEqual({ calls: 1, failures: 1, slow: 1 });
    expect(window.at(1_000)).toEqual(NOTHING);
  });

  test("B2 has forgotten all after an idle hour, when the next call is counted", () => {
    const window = make();
    for (let n = 0; n < 7; n += 1) window.add(n, true, true);
    window.add(HOUR, false, false);
    expect(counts(window)).toEqual({ calls: 1, failures: 0, slow: 0 });
  });

  test("at() changes nothing", () => {
    const window = make();
    window.add(5, true, false);
    window.at(HOUR);
    expect(counts(window)).toEqual({ calls: 1, failures: 1, slow: 0 });
    expect(window.at(5)).toEqual(counts(window));
  });

  test("is empty after reset, and counts on", () => {
    const window = make();
    for (let n = 0; n < 15; n += 1) window.add(0, true, true);
    window.reset();
    expect([counts(window), window.at(0)]).toEqual([NOTHING, NOTHING]);
    window.add(1, true, false);
    expect([counts(window), window.at(999)]).toEqual(Array(2).fill({ calls: 1, failures: 1, slow: 0 }));
  });

  test("counts from any start", () => {
    const window = make();
    window.add(98_765.4321, true, false);
    expect([window.at(98_765.4321).calls, window.at(99_765.4321).calls]).toEqual([1, 0]);
  });
});

describe("a count window", () => {
  /** One letter for each call: an F has failed, an S was slow, a B was both. */
  function added(window: CountWindow, outcomes: string, now = 0): CountWindow {
    for (const outcome of outcomes) window.add(now, "FB".includes(outcome), "SB".includes(outcome));
    return window;
  }

  test.each([
    ["FFF", { calls: 3, failures: 3, slow: 0 }],
    ["FFF.", { calls: 3, failures: 2, slow: 0 }],
    ["BFS", { calls: 3, failures: 2, slow: 2 }],
    ["BFS...", { ...NOTHING, calls: 3 }],
    ["BFSBF", { calls: 3, failures: 2, slow: 2 }],
    ["..........B", { calls: 3, failures: 1, slow: 1 }],
  ])("holds the last three: %s", (outcomes, expected) => {
    expect(counts(added(new CountWindow(3, HOUR), outcomes))).toEqual(expected);
  });

  test("of one holds the last", () => {
    const window = added(new CountWindow(1, HOUR), "F");
    expect(counts(window)).toEqual({ calls: 1, failures: 1, slow: 0 });
    expect(counts(added(window, "S"))).toEqual({ calls: 1, failures: 0, slow: 1 });
  });

  test("lets go of each call in its own time", () => {
    const window = new CountWindow(3, 1_000);
    added(window, "F", 0);
    added(window, "S", 300);
    added(window, "F", 600);
    expect([999, 1_000, 1_299, 1_300, 1_599, 1_600].map((now) => window.at(now).calls)).toEqual([3, 2, 2, 1, 1, 0]);
    added(window, ".", 1_300);
    expect(counts(window)).toEqual({ calls: 2, failures: 1, slow: 0 });
  });

  test("whose time has no end forgets by count alone", () => {
    const window = added(new CountWindow(2, Number.POSITIVE_INFINITY), "F", 0);
    expect(window.at(1e15).calls).toBe(1);
  });
});

describe("reaches", () => {
  test("is exact at every whole per cent of a hundred calls", () => {
    const percents = Array.from({ length: 100 }, (_, n) => n + 1);
    expect(percents.filter((n) => !reaches(n, 100, Number(`${n}e-2`)))).toEqual([]);
    expect(percents.filter((n) => reaches(n - 1, 100, Number(`${n}e-2`)))).toEqual([]);
  });

  test.each([
    [1, 10, 0.1],
    [3, 10, 0.3],
    [7, 10, 0.7],
    [11, 20, 0.55],
    [7, 100, 0.07],
    [14, 100, 0.14],
    [1, 1_000_000, 0.000001],
    [1, 3, 1 / 3],
    [5, 5, 1],
  ])("%d of %d reach %d, and one less does not", (part, calls, ratio) => {
    expect(reaches(part, calls, ratio)).toBe(true);
    expect(reaches(part - 1, calls, ratio)).toBe(false);
  });
});
