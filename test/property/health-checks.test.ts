import fc from "fast-check";
import { test } from "vitest";
import { type CheckRun, HealthChecks } from "../../src/policy/health-checks.ts";
import { historyOf, passing, pick, same, start, which, within } from "../support/histories.ts";

const HISTORIES = 3_000;

const terms = fc.record({
  intervalMs: fc.constantFrom(0.25, 1, 100, 5_000),
  failureThreshold: fc.integer({ min: 1, max: 3 }),
  onDemand: fc.boolean(),
});

/** A check, and what a list of all its runs says of it. */
class Watched {
  readonly intervalMs: number;
  readonly failureThreshold: number;
  readonly onDemand: boolean;
  /** Whether each run that counts passed, in order. */
  readonly results: boolean[] = [];
  endedAt = Number.NEGATIVE_INFINITY;
  /** Runs that were given up and go on, the oldest first. */
  hanging: object[] = [];
  running = false;
  wanted = false;

  constructor(of: { intervalMs: number; failureThreshold: number; onDemand: boolean }) {
    this.intervalMs = of.intervalMs;
    this.failureThreshold = of.failureThreshold;
    this.onDemand = of.onDemand;
  }

  isFresh(now: number): boolean {
    const waitMs = this.hanging.length >= 3 ? Math.max(60_000, this.intervalMs) : this.intervalMs;
    return now < this.endedAt + waitMs;
  }

  isDue(now: number): boolean {
    return !this.running && !this.isFresh(now) && (this.wanted || !this.onDemand);
  }

  get status(): string {
    if (this.results.length === 0) return "pending";
    const failures = this.results.length - 1 - this.results.lastIndexOf(true);
    return failures >= (this.results.includes(true) ? this.failureThreshold : 1) ? "failing" : "passing";
  }
}

type Action = "begin" | "pass" | "fail" | "giveUp" | "hang" | "want" | "time";
const actions: readonly Action[] = ["begin", "begin", "pass", "fail", "giveUp", "hang", "want", "time"];
/** The longest that a check waits whose runs hang, too. */
const ms = fc.oneof({ weight: 4, arbitrary: passing }, { weight: 1, arbitrary: fc.constantFrom(59_999.75, 60_000) });
const step = fc.record({ do: fc.constantFrom(...actions), which, ms });

test("no place is lost, no check runs twice at a time or too soon, and each stands as all of its runs say", () => {
  const most = fc.integer({ min: 1, max: 3 });
  const checks = fc.array(terms, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(most, checks, start, historyOf(step, 60), (most, given, start, history) => {
      let now = start;
      const machine = new HealthChecks<Watched>(most, { now: () => now });
      const watched = given.map((terms) => new Watched(terms));
      for (const check of watched) machine.add(check);
      const runs: { run: CheckRun<Watched>; counts: boolean }[] = [];
      /** Checks on demand have places of their own. */
      const running = (onDemand: boolean) =>
        watched.filter((check) => check.running && check.onDemand === onDemand).length;
      const mayBegin = () => watched.some((check) => check.isDue(now) && running(check.onDemand) < most);

      const begin = () => {
        const may = mayBegin();
        const run = machine.tryBegin();
        same("begins", run !== undefined, may);
        if (!run) return;
        same("due", run.check.isDue(now), true);
        run.check.running = true;
        run.check.wanted = false;
        run.check.hanging = run.check.hanging.slice(-2);
        runs.push({ run, counts: true });
      };
      const end = (index: number, how: "pass" | "fail" | "giveUp") => {
        const one = pick(runs, index);
        if (!one) return;
        const { check } = one.run;
        same("counts", one.run[how]("why"), one.counts);
        if (one.counts) {
          check.running = false;
          check.endedAt = now;
          check.results.push(how === "pass");
        }
        if (how !== "giveUp") check.hanging = check.hanging.filter((run) => run !== one);
        else if (one.counts) check.hanging.push(one);
        one.counts = false;
        if (how !== "giveUp") runs.splice(runs.indexOf(one), 1);
      };

      for (const { do: what, which, ms } of history) {
        if (what === "begin") begin();
        else if (what === "time") now += ms;
        else if (what === "hang") {
          // So often that no further one may begin.
          now += ms;
          begin();
          end(runs.length - 1, "giveUp");
        } else if (what === "want") {
          const check = pick(watched, which);
          if (!check) continue;
          same("wanted", machine.want(check), check.running || !check.isFresh(now));
          check.wanted ||= !check.running && !check.isFresh(now);
        } else end(which, what);
        within("running by themselves", running(false), 0, most);
        within("running on demand", running(true), 0, most);
        for (const check of watched) {
          same("status", machine.snapshot(check)?.status, check.status);
          same("hanging", machine.snapshot(check)?.hanging, check.hanging.length);
          within("hanging", check.hanging.length, 0, 3);
        }
        const wakeInMs = machine.wakeInMs();
        same("due now", wakeInMs === 0, mayBegin());
      }

      while (runs.length > 0) end(0, "pass");
      now += 10_000_000;
      for (const check of watched) machine.want(check);
      for (const check of watched) check.wanted = true;
      for (let left = watched.length; left > 0; left -= 1) {
        begin();
        same("begun", runs.length, 1);
        end(0, "pass");
      }
    }),
    { numRuns: HISTORIES },
  );
});
