import { describe, expect, test } from "vitest";
import { type BudgetPermit, RetryBudget, type RetryBudgetOptions } from "../../../src/policy/retry-budget.ts";
import { fakeClock } from "../../../src/testing/index.ts";

/** A budget of a tenth, in which nothing is allowed whatever the share. */
function aBudget(changes: Partial<RetryBudgetOptions> = {}) {
  const clock = fakeClock({ now: 123.75 });
  return { budget: new RetryBudget({ ratio: 0.1, windowMs: 10_000, minInFlight: 0, ...changes }, clock), clock };
}

function calls(budget: RetryBudget, count: number): void {
  for (let n = 0; n < count; n += 1) budget.call();
}

/** Takes permits until there is none left. */
function takeAll(budget: RetryBudget): BudgetPermit[] {
  const taken: BudgetPermit[] = [];
  for (let permit = budget.tryAcquire(); permit; permit = budget.tryAcquire()) taken.push(permit);
  return taken;
}

describe("the share", () => {
  test("at nine calls allows none, at ten one", () => {
    const { budget } = aBudget();
    calls(budget, 9);
    expect(takeAll(budget)).toHaveLength(0);
    calls(budget, 1);
    expect(takeAll(budget)).toHaveLength(1);
  });

  test("counts extra attempts that are over, too", () => {
    const { budget } = aBudget();
    calls(budget, 20);
    for (const permit of takeAll(budget)) permit.release();
    expect(takeAll(budget)).toHaveLength(0);
    expect(budget.snapshot()).toEqual({ calls: 20, extraAttempts: 2, inFlight: 0 });
  });

  test.each([
    [0.29, 100, 29],
    [0.07, 100, 7],
    [0.57, 100, 57],
    [0.1, 30, 3],
    [0.3, 10, 3],
    [1, 7, 7],
    [0.001, 999, 0],
    [0.001, 1_000, 1],
  ])("of %d in %d calls is %d, exactly", (ratio, count, extra) => {
    const { budget } = aBudget({ ratio });
    calls(budget, count);
    expect(takeAll(budget)).toHaveLength(extra);
  });

  test("of no calls is nothing", () => {
    expect(takeAll(aBudget().budget)).toHaveLength(0);
  });
});

describe("the window", () => {
  test("lets go of calls when it is over, and not a slice before", async () => {
    const { budget, clock } = aBudget();
    calls(budget, 10);
    await clock.advance(9_876);
    expect(budget.snapshot().calls).toBe(10);
    await clock.advance(0.25);
    expect(budget.snapshot().calls).toBe(0);
    expect(takeAll(budget)).toHaveLength(0);
  });

  test("lets go of extra attempts too, though they are still under way: a stream may stay open and quiet", async () => {
    const { budget, clock } = aBudget();
    calls(budget, 10);
    expect(takeAll(budget)).toHaveLength(1);
    await clock.advance(10_000);
    calls(budget, 10);
    expect(takeAll(budget)).toHaveLength(1);
    expect(budget.snapshot()).toEqual({ calls: 10, extraAttempts: 1, inFlight: 1 });
  });

  test("that looks on changes nothing", async () => {
    const { budget, clock } = aBudget();
    calls(budget, 10);
    await clock.advance(3_600_000);
    expect(budget.snapshot()).toEqual(budget.snapshot());
  });
});

describe("what is allowed whatever the share", () => {
  test("is so many under way at a time", () => {
    const { budget } = aBudget({ minInFlight: 3 });
    const taken = takeAll(budget);
    expect(taken).toHaveLength(3);
    taken[1]?.release();
    expect(takeAll(budget)).toHaveLength(1);
    expect(budget.snapshot()).toEqual({ calls: 0, extraAttempts: 4, inFlight: 3 });
  });

  test("is not on top of the share", () => {
    const { budget } = aBudget({ minInFlight: 3 });
    calls(budget, 20);
    expect(takeAll(budget)).toHaveLength(3);
  });

  test("is less than the share, where there are many calls", () => {
    const { budget } = aBudget({ minInFlight: 3 });
    calls(budget, 80);
    expect(takeAll(budget)).toHaveLength(8);
  });
});

test("a permit is given back once", () => {
  const { budget } = aBudget({ minInFlight: 2 });
  const [first] = takeAll(budget);
  first?.release();
  first?.release();
  expect(budget.snapshot().inFlight).toBe(1);
  expect(takeAll(budget)).toHaveLength(1);
});
