import { fakeClock } from "bowline/testing";
import { describe, expect, test } from "vitest";
import { type CheckRun, type CheckTerms, HealthChecks } from "../../../src/policy/health-checks.ts";

const deep: CheckTerms = { intervalMs: 1_000, failureThreshold: 1, onDemand: false };
const business: CheckTerms = { ...deep, onDemand: true };

function someChecks(maxConcurrent: number, ...checks: CheckTerms[]) {
  const clock = fakeClock();
  const machine = new HealthChecks(maxConcurrent, clock);
  for (const check of checks) machine.add(check);
  const begin = () => {
    const run = machine.tryBegin();
    if (!run) throw new Error("no check is due");
    return run;
  };
  const status = (check: CheckTerms) => machine.snapshot(check)?.status;
  return { clock, machine, begin, status };
}

describe("when a check runs", () => {
  test("at once, and then when its interval is over since its last run ended: not a millisecond before", async () => {
    const { clock, machine, begin } = someChecks(4, deep);
    expect(machine.wakeInMs()).toBe(0);
    const run = begin();
    expect([machine.tryBegin(), machine.wakeInMs()]).toEqual([undefined, Number.POSITIVE_INFINITY]);
    await clock.advance(300);
    run.pass();
    expect(machine.wakeInMs()).toBe(1_000);
    await clock.advance(999);
    expect([machine.tryBegin(), machine.wakeInMs()]).toEqual([undefined, 1]);
    await clock.advance(1);
    expect(begin().check).toBe(deep);
  });

  test("after a failure no sooner, and after hours without a look once", async () => {
    const { clock, machine, begin } = someChecks(4, deep);
    begin().fail("down");
    await clock.advance(999);
    expect(machine.tryBegin()).toBeUndefined();
    await clock.advance(3_600_000);
    begin().pass();
    expect(machine.tryBegin()).toBeUndefined();
  });

  test("whatever becomes of wall time", async () => {
    const { clock, machine, begin } = someChecks(4, deep);
    begin().pass();
    clock.jumpWall(3_600_000);
    expect([machine.wakeInMs(), machine.snapshot(deep)?.ageMs]).toEqual([1_000, 0]);
    clock.jumpWall(-7_200_000);
    await clock.advance(1_000);
    expect([machine.wakeInMs(), machine.snapshot(deep)?.ageMs]).toEqual([0, 1_000]);
  });

  test("on demand: only when it is wanted, shared by all who want it, and not while its result holds", async () => {
    const { clock, machine, begin } = someChecks(4, business);
    expect([machine.tryBegin(), machine.wakeInMs()]).toEqual([undefined, Number.POSITIVE_INFINITY]);
    expect([machine.want(business), machine.want(business), machine.wakeInMs()]).toEqual([true, true, 0]);
    const run = begin();
    expect([machine.want(business), machine.tryBegin()]).toEqual([true, undefined]);
    run.pass();
    expect([machine.want(business), machine.tryBegin()]).toEqual([false, undefined]);
    await clock.advance(999);
    expect(machine.want(business)).toBe(false);
    await clock.advance(1);
    expect([machine.tryBegin(), machine.want(business)]).toEqual([undefined, true]);
    begin();
  });

  test("one that was never added is not wanted", () => {
    const { machine } = someChecks(4);
    expect([machine.want(deep), machine.snapshot(deep)]).toEqual([false, undefined]);
  });
});

describe("how many run at a time", () => {
  const [a, b, c] = [{ ...deep }, { ...deep }, { ...deep }] as const;

  test("no more than the bound; the next is the one that has been due for longest", async () => {
    const { clock, machine, begin } = someChecks(2, a, b, c);
    const [first, second] = [begin(), begin()];
    expect([first.check, second.check, machine.tryBegin()]).toEqual([a, b, undefined]);
    expect(machine.wakeInMs()).toBe(Number.POSITIVE_INFINITY);
    first.pass();
    expect(machine.wakeInMs()).toBe(0);
    const third = begin();
    expect(third.check).toBe(c);
    await clock.advance(5);
    third.pass();
    await clock.advance(5);
    second.pass();
    await clock.advance(2_000);
    expect([begin().check, begin().check]).toEqual([a, c]);
  });

  test("as many again on demand: neither kind keeps the other waiting", async () => {
    const [d, e] = [{ ...business }, { ...business }];
    const { clock, machine, begin } = someChecks(1, d, e, a, b);
    expect([machine.want(d), machine.want(e)]).toEqual([true, true]);
    const [first, second] = [begin(), begin()];
    expect([first.check, second.check, machine.tryBegin()]).toEqual([d, a, undefined]);
    expect(machine.wakeInMs()).toBe(Number.POSITIVE_INFINITY);
    second.pass();
    expect(begin().check).toBe(b);
    first.giveUp("no answer");
    expect([begin().check, machine.tryBegin()]).toEqual([e, undefined]);
    await clock.advance(10_000);
    expect([machine.want(d), machine.wakeInMs(), machine.tryBegin()]).toEqual([
      ...[true, Number.POSITIVE_INFINITY, undefined],
    ]);
  });

  test("one that hangs frees its place when it is given up, and once", async () => {
    const { machine, begin } = someChecks(1, a, b);
    const hangs = begin();
    expect(machine.tryBegin()).toBeUndefined();
    hangs.giveUp("no answer");
    hangs.giveUp("no answer");
    expect(begin().check).toBe(b);
    hangs.pass();
    hangs.fail("late");
    expect(machine.tryBegin()).toBeUndefined();
  });
});

describe("what its runs come to", () => {
  test("pending until a run has ended, then as that one says", async () => {
    const { clock, machine, begin, status } = someChecks(4, deep);
    expect(machine.snapshot(deep)).toEqual({
      status: "pending",
      everPassed: false,
      durationMs: undefined,
      ageMs: undefined,
      failure: undefined,
      hanging: 0,
    });
    const run = begin();
    expect(status(deep)).toBe("pending");
    await clock.advance(20);
    expect(run.fail("down")).toBe(true);
    await clock.advance(980);
    expect(machine.snapshot(deep)).toMatchObject({ status: "failing", durationMs: 20, ageMs: 980, failure: "down" });
    await clock.advance(20);
    begin().pass();
    expect(machine.snapshot(deep)).toMatchObject({
      ...{ status: "passing", everPassed: true, durationMs: 0, ageMs: 0, failure: undefined },
    });
  });

  test("what a run says first counts", () => {
    const { machine, begin, status } = someChecks(4, deep);
    const run = begin();
    expect([run.pass(), run.fail("late"), run.giveUp("later"), run.pass()]).toEqual([true, false, false, false]);
    expect([status(deep), machine.snapshot(deep)?.hanging]).toEqual(["passing", 0]);
  });

  test("a result that comes after the run was given up is dropped, and leaves that of the next run alone", async () => {
    const { clock, machine, begin, status } = someChecks(4, deep);
    const late = begin();
    expect(late.giveUp("no answer")).toBe(true);
    expect(late.pass()).toBe(false);
    expect([status(deep), machine.snapshot(deep)?.everPassed]).toEqual(["failing", false]);
    await clock.advance(1_000);
    const later = begin();
    later.giveUp("no answer");
    await clock.advance(2_000);
    begin().pass();
    expect([later.fail("late"), status(deep)]).toEqual([false, "passing"]);
  });

  test.each([1, 2, 5])("fails after %i in a row, and passes with the next that passes", async (failureThreshold) => {
    const check = { ...deep, failureThreshold };
    const { clock, machine, begin } = someChecks(4, check);
    begin().pass();
    const failures = async (count: number) => {
      const seen: unknown[] = [];
      for (let n = 0; n < count; n += 1) {
        await clock.advance(1_000);
        begin().fail("down");
        seen.push(machine.snapshot(check)?.status);
      }
      return seen;
    };
    const untilThen = Array.from({ length: failureThreshold - 1 }, () => "passing");
    expect(await failures(failureThreshold)).toEqual([...untilThen, "failing"]);
    await clock.advance(1_000);
    begin().pass();
    expect(machine.snapshot(check)?.status).toBe("passing");
    expect(await failures(failureThreshold - 1)).toEqual(untilThen);
  });

  test("one that has never passed fails with its first failure", () => {
    const check = { ...deep, failureThreshold: 3 };
    const { begin, status } = someChecks(4, check);
    begin().fail("down");
    expect(status(check)).toBe("failing");
  });
});

describe("a check that never looks at its signal", () => {
  /** Three of its runs hang, one interval apart; the last was given up just now. */
  async function withThreeHanging(terms: CheckTerms) {
    const checks = someChecks(1, terms);
    const hung: CheckRun<CheckTerms>[] = [];
    for (let n = 0; n < 3; n += 1) {
      await checks.clock.advance(checks.machine.wakeInMs());
      hung.push(checks.begin());
      hung[n]?.giveUp("no answer");
    }
    return { ...checks, hung };
  }

  test("runs at its interval while fewer than three runs hang, then after a minute, however many follow", async () => {
    const { clock, machine, begin } = someChecks(1, deep);
    const waits: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      begin().giveUp("no answer");
      waits.push(machine.wakeInMs());
      await clock.advance(machine.wakeInMs() - 1);
      expect(machine.tryBegin()).toBeUndefined();
      await clock.advance(1);
    }
    expect(waits).toEqual([1_000, 1_000, 60_000, 60_000, 60_000, 60_000]);
    expect(machine.snapshot(deep)?.hanging).toBe(3);
  });

  test("runs no sooner than its interval says, if that is more than a minute", async () => {
    const { machine } = await withThreeHanging({ ...deep, intervalMs: 90_000 });
    expect(machine.wakeInMs()).toBe(90_000);
  });

  test.each(["pass", "fail"] as const)("runs at once when one that hung ends: %s", async (how) => {
    const { clock, machine, begin, hung } = await withThreeHanging(deep);
    await clock.advance(30_000);
    expect([machine.tryBegin(), machine.wakeInMs()]).toEqual([undefined, 30_000]);
    hung[1]?.[how]("late");
    hung[1]?.[how]("late");
    expect([machine.wakeInMs(), machine.snapshot(deep)?.hanging]).toEqual([0, 2]);
    begin().giveUp("no answer");
    expect(machine.wakeInMs()).toBe(60_000);
  });

  test("yet never sooner than its interval after its last run", async () => {
    const { clock, machine, hung } = await withThreeHanging(deep);
    await clock.advance(400);
    hung[0]?.pass();
    expect(machine.wakeInMs()).toBe(600);
  });

  test("is as it was once a run passes, though three hang for ever; and the end of one that no longer counts is nothing", async () => {
    const { clock, machine, begin, status, hung } = await withThreeHanging(deep);
    await clock.advance(60_000);
    begin().pass();
    expect([status(deep), machine.wakeInMs(), machine.snapshot(deep)?.hanging]).toEqual(["passing", 1_000, 2]);
    hung[0]?.pass();
    expect(machine.snapshot(deep)?.hanging).toBe(2);
  });
});
