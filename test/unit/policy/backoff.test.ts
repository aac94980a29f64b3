import { describe, expect, test } from "vitest";
import { Backoff, type Jitter } from "../../../src/policy/backoff.ts";
import { scripted } from "../../support/machines.ts";

const OPTIONS = { initialBackoffMs: 100, maxBackoffMs: 500, multiplier: 2, jitter: "full" as Jitter };

function aBackoff(changes: Partial<typeof OPTIONS>, ...numbers: number[]): Backoff {
  return new Backoff({ ...OPTIONS, ...changes }, scripted(...numbers));
}

const next = (backoff: Backoff, waits: number) => Array.from({ length: waits }, () => backoff.next());

describe("full", () => {
  test("is a share of a bound that doubles up to its greatest", () => {
    expect(next(aBackoff({}, 0.25), 5)).toEqual([25, 50, 100, 125, 125]);
  });

  test("draws anew each time", () => {
    expect(next(aBackoff({}, 0, 0.5, 0.75), 3)).toEqual([0, 100, 300]);
  });
});

test("equal waits at least half of its bound", () => {
  expect(next(aBackoff({ jitter: "equal" }, 0, 0, 0.5, 0.5), 4)).toEqual([50, 100, 300, 375]);
});

test("a6 is its bound less or more a fifth", () => {
  expect(next(aBackoff({ jitter: "a6" }, 0.5), 4)).toEqual([100, 200, 400, 500]);
  expect(next(aBackoff({ jitter: "a6" }, 0), 4)).toEqual([80, 160, 320, 400]);
});

describe("decorrelated", () => {
  test("lies between the first bound and three times the last wait", () => {
    expect(next(aBackoff({ jitter: "decorrelated" }, 0.5, 0, 0.25), 3)).toEqual([200, 100, 150]);
  });

  test("goes on from the wait that was cut, not from what was drawn", () => {
    expect(next(aBackoff({ jitter: "decorrelated", maxBackoffMs: 250 }, 0.9, 0.1), 2)).toEqual([250, 165]);
  });
});

describe("what is set", () => {
  test.each<[string, Partial<typeof OPTIONS>, number[]]>([
    ["a multiplier of 1 keeps the bound", { multiplier: 1 }, [50, 50, 50]],
    ["a multiplier below 1 lets it shrink", { multiplier: 0.5 }, [50, 25, 12.5]],
    ["a fraction multiplies too", { multiplier: 1.5 }, [50, 75, 112.5]],
    ["a first bound above the greatest is cut", { initialBackoffMs: 900 }, [250, 250, 250]],
    ["a multiplier beyond measure ends at the greatest", { multiplier: 1e308 }, [50, 250, 250]],
    [
      "a decorrelated wait is never above the greatest",
      { jitter: "decorrelated", initialBackoffMs: 5_000 },
      [500, 500],
    ],
  ])("%s", (_, changes, waits) => {
    expect(next(aBackoff(changes, 0.5), waits.length)).toEqual(waits);
  });
});

test.each<Jitter>(["full", "equal", "decorrelated", "a6"])("%s starts anew after reset", (jitter) => {
  const backoff = aBackoff({ jitter }, 0.9);
  const waits = next(backoff, 4);
  backoff.reset();
  expect(next(backoff, 4)).toEqual(waits);
});
