import { fakeClock } from "bowline/testing";
import { describe, expect, test } from "vitest";
import {
  type HealthCheckContext,
  type HealthCheckOptions,
  resolveCheck,
} from "../../../../src/server/health/check-options.ts";
import { CheckRunner } from "../../../../src/server/health/check-runner.ts";
import { collectGarbage } from "../../../support/collect-garbage.ts";

const [TIMEOUT_MS, INTERVAL_MS] = [1_000, 5_000];
const MINUTE_MS = 60_000;

/** How a check's runs end that began while the dependency was away. */
type Ends = "never" | "when it is back" | "with their signal";

/** A check of a dependency that answers after 20 ms, or is away. */
function dependency(ends: Ends) {
  const back = Promise.withResolvers<void>();
  const state = { away: false, runs: 0, back: back.resolve };
  const answer = () => new Promise<void>((resolve) => void clock.setTimer(20, resolve));
  const clock = fakeClock();
  const run = ({ signal }: HealthCheckContext) => {
    state.runs += 1;
    if (!state.away) return answer();
    if (ends === "when it is back") return back.promise.then(answer);
    return new Promise((_, reject) => {
      if (ends === "with their signal") signal.addEventListener("abort", () => reject(signal.reason));
    });
  };
  const check = resolveCheck("database", run, { timeoutMs: TIMEOUT_MS, intervalMs: INTERVAL_MS }, { taken: [] });
  const runner = new CheckRunner({ clock });
  runner.add(check);
  runner.start();
  return { clock, runner, state, status: () => runner.result(check).status };
}

/** At which moments of its interval a check may be when the dependency goes, and when it is back, in milliseconds. */
const MOMENTS = [10, 900, 1_500];

const cases = [1, 5, 15, 45].flatMap((minutes) => [
  { minutes, ends: "never" as const, withinMs: MINUTE_MS + TIMEOUT_MS + 20 },
  { minutes, ends: "when it is back" as const, withinMs: INTERVAL_MS + 40 },
  { minutes, ends: "with their signal" as const, withinMs: INTERVAL_MS + TIMEOUT_MS + 20 },
]);

test.each(cases)(
  "after $minutes min, in which runs end $ends, it is noticed within $withinMs ms",
  async ({ minutes, ends, withinMs }) => {
    for (const moment of MOMENTS) {
      const { clock, runner, state, status } = dependency(ends);
      await clock.advance(MINUTE_MS + moment);
      expect(status()).toBe("passing");
      state.away = true;
      await clock.advance(minutes * MINUTE_MS + 2 * moment);
      expect(status()).toBe("failing");
      state.away = false;
      state.back();
      const backAt = clock.now();
      let noticedAt = Number.POSITIVE_INFINITY;
      runner.onChange = () => {
        noticedAt = Math.min(noticedAt, clock.now());
      };
      await clock.advance(2 * MINUTE_MS);
      expect(status()).toBe("passing");
      expect(noticedAt - backAt).toBeLessThanOrEqual(withinMs);
      runner.stop();
      expect(clock.pending).toBe(0);
    }
  },
);

test("runs that never end are three, and then one a minute", async () => {
  const { clock, runner, state } = dependency("never");
  state.away = true;
  await clock.advance(15_000);
  expect(state.runs).toBe(3);
  await clock.advance(45 * MINUTE_MS);
  expect(state.runs).toBeGreaterThan(40);
  expect(state.runs).toBeLessThanOrEqual(3 + 45);
  runner.stop();
});

test("runs that are no longer counted are kept by nobody", async () => {
  const clock = fakeClock();
  const signals: WeakRef<AbortSignal>[] = [];
  const run = ({ signal }: HealthCheckContext) => {
    signals.push(new WeakRef(signal));
    return new Promise(() => {});
  };
  const check = resolveCheck("database", run, {}, { taken: [] });
  const runner = new CheckRunner({ clock });
  runner.add(check);
  runner.start();
  await clock.advance(200 * MINUTE_MS);
  await collectGarbage();
  expect(signals.length).toBeGreaterThan(190);
  expect(signals.filter((signal) => signal.deref()).length).toBeLessThanOrEqual(4);
  runner.stop();
});

describe("beside checks that hang", () => {
  const never = () => new Promise(() => {});

  /** A check that is quick, once it runs, beside others that hang; when each of its runs began, over two minutes. */
  async function startsBeside(hanging: number, options: HealthCheckOptions) {
    const clock = fakeClock();
    const runner = new CheckRunner({ clock });
    const starts: number[] = [];
    const add = (name: string, run: () => unknown, more: HealthCheckOptions) => {
      const check = resolveCheck(name, run, { intervalMs: INTERVAL_MS, ...more }, { taken: [] });
      runner.add(check);
      return check;
    };
    const others = Array.from({ length: hanging }, (_, n) => add(`hangs-${n}`, never, options));
    add("database", () => void starts.push(clock.now()), {});
    runner.start();
    for (let second = 0; second < 120; second += 1) {
      for (const other of others) void runner.refreshed(other);
      await clock.advance(1_000);
    }
    runner.stop();
    return starts;
  }

  test("on demand, a deep check runs as if it were alone", async () => {
    expect(await startsBeside(40, { depth: "business", timeoutMs: 10_000 })).toEqual(await startsBeside(0, {}));
  });

  test.each([
    [3, 0],
    [4, 1],
    [7, 1],
    [8, 2],
    [20, 5],
  ])("as deep as it, %i of them, it waits for at most %i timeouts", async (hanging, timeouts) => {
    const timeoutMs = 2_000;
    const starts = await startsBeside(hanging, { timeoutMs });
    const waits = starts.map((start, n) => start - (n === 0 ? 0 : (starts[n - 1] ?? 0) + INTERVAL_MS));
    expect(Math.max(...waits)).toBe(timeouts * timeoutMs);
  });
});
