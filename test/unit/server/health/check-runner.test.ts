import { fakeClock } from "bowline/testing";
import { describe, expect, test, vi } from "vitest";
import { currentCall, runInCall } from "../../../../src/core/call-context.ts";
import type { Clock } from "../../../../src/core/clock.ts";
import type { ObserverEvent } from "../../../../src/core/observer.ts";
import {
  type HealthCheck,
  type HealthCheckContext,
  type HealthCheckOptions,
  resolveCheck,
} from "../../../../src/server/health/check-options.ts";
import { CheckRunner, type CheckRunnerOptions } from "../../../../src/server/health/check-runner.ts";

/** A runner on a fake clock that has begun. */
function started(options: Partial<CheckRunnerOptions> = {}) {
  const clock = fakeClock();
  const runner = new CheckRunner({ clock, maxConcurrent: 4, ...options });
  const add = (name: string, run: HealthCheck, more: HealthCheckOptions = {}) => {
    const check = resolveCheck(name, run, more, { taken: [] });
    runner.add(check);
    return check;
  };
  runner.start();
  return { clock, runner, add };
}

/** A check that each test settles by itself, run for run. */
function scripted() {
  const runs: (PromiseWithResolvers<unknown> & { signal: AbortSignal })[] = [];
  const check = ({ signal }: HealthCheckContext) => {
    const run = { ...Promise.withResolvers<unknown>(), signal };
    runs.push(run);
    return run.promise;
  };
  return { runs, check };
}

describe("a check fails", () => {
  test.each<[string, HealthCheck, string | undefined]>([
    ["not if it resolves", async () => {}, undefined],
    ["not if it returns", () => 0, undefined],
    ["not if it returns true", async () => true, undefined],
    ["if it returns false", () => false, "it returned false"],
    ["if it resolves with false", async () => false, "it returned false"],
    ["if it rejects", async () => Promise.reject(new Error("down")), "down"],
    [
      "if it throws",
      () => {
        throw new Error("down at once");
      },
      "down at once",
    ],
    [
      "if it returns a thenable that throws",
      () => ({
        // biome-ignore lint/suspicious/noThenProperty: a foreign promise is what is tested
        get then() {
          throw new Error("no promise");
        },
      }),
      "no promise",
    ],
    ["if it rejects with what is no error", () => Promise.reject(undefined), "undefined"],
  ])("%s", async (_, run, error) => {
    const { clock, runner, add } = started();
    const check = add("a", run);
    expect(runner.result(check).status).toBe("pending");
    await clock.advance(0);
    const status = error === undefined ? "passing" : "failing";
    expect(runner.result(check)).toEqual({ name: "a", depth: "deep", status, durationMs: 0, ageMs: 0, error });
    runner.stop();
    expect(clock.pending).toBe(0);
  });
});

describe("a check that takes too long", () => {
  test("fails when its time is up, not a millisecond before, and its signal says so", async () => {
    const { clock, runner, add } = started();
    const { runs, check: run } = scripted();
    const check = add("a", run, { timeoutMs: 200 });
    await clock.advance(199);
    expect([runner.result(check).status, runs[0]?.signal.aborted]).toEqual(["pending", false]);
    await clock.advance(1);
    expect(runner.result(check)).toMatchObject({
      status: "failing",
      durationMs: 200,
      error: "no answer within 200 ms",
    });
    expect(runs[0]?.signal.reason).toMatchObject({ name: "TimeoutError", message: "no answer within 200 ms" });
    runner.stop();
  });

  test.each<[string, (run: PromiseWithResolvers<unknown>) => void]>([
    ["passes", ({ resolve }) => resolve(undefined)],
    ["fails", ({ reject }) => reject(new Error("aborted"))],
  ])("and then %s after all, changes nothing, and heals with its next run", async (_, settle) => {
    const { clock, runner, add } = started();
    const { runs, check: run } = scripted();
    const check = add("a", run, { timeoutMs: 200, intervalMs: 1_000 });
    await clock.advance(210);
    for (const late of runs) settle(late);
    await clock.advance(0);
    expect(runner.result(check)).toMatchObject({ status: "failing", error: "no answer within 200 ms" });
    await clock.advance(990);
    runs[1]?.resolve(undefined);
    await clock.advance(0);
    expect([runs.length, runner.result(check).status]).toEqual([2, "passing"]);
    runner.stop();
  });

  test("and ignores its signal takes no place from others, and runs once a minute", async () => {
    const { clock, runner, add } = started({ maxConcurrent: 1 });
    const hangs = scripted();
    const others = vi.fn();
    add("hangs", hangs.check, { timeoutMs: 100, intervalMs: 1_000 });
    const other = add("other", others, { intervalMs: 1_000 });
    await clock.advance(100);
    expect([others.mock.calls.length, runner.result(other).status]).toEqual([1, "passing"]);
    await clock.advance(60_000);
    expect(others.mock.calls.length).toBeGreaterThan(50);
    // At 0, 1.1, 2.2 and 62.3 s.
    expect(hangs.runs.length).toBe(3);
    await clock.advance(2_299);
    expect(hangs.runs.length).toBe(4);
    runner.stop();
    expect(clock.pending).toBe(0);
  });

  test("because the process stood still gets that time back, once", async () => {
    const own = fakeClock();
    let stoodStillMs = 0;
    const clock: Clock = {
      ...{ now: () => own.now() + stoodStillMs, wallTime: () => own.wallTime() },
      setTimer: (delayMs, fire) => own.setTimer(delayMs, fire),
    };
    const runner = new CheckRunner({ clock, maxConcurrent: 1 });
    const { runs, check: run } = scripted();
    const check = resolveCheck("a", run, { timeoutMs: 200 }, { taken: [] });
    runner.add(check);
    runner.start();
    await own.advance(100);
    stoodStillMs = 500;
    await own.advance(100 + 499);
    expect(runner.result(check).status).toBe("pending");
    stoodStillMs = 5_000;
    await own.advance(1);
    expect([runner.result(check).status, runs[0]?.signal.aborted]).toEqual(["failing", true]);
    runner.stop();
  });
});

describe("what is asked for", () => {
  test("a hundred who ask share one run, and all have its result", async () => {
    const { clock, runner, add } = started();
    const { runs, check: run } = scripted();
    const check = add("a", run, { depth: "business" });
    await clock.advance(60_000);
    expect(runs.length).toBe(0);
    const told = vi.fn();
    for (let n = 0; n < 100; n += 1) void runner.refreshed(check).then(told);
    await clock.advance(10);
    expect([runs.length, told.mock.calls.length]).toEqual([1, 0]);
    runs[0]?.resolve(undefined);
    await clock.advance(0);
    expect([told.mock.calls.length, runner.result(check).status]).toEqual([100, "passing"]);
    await runner.refreshed(check);
    expect(runs.length).toBe(1);
    runner.stop();
  });

  test("nobody waits longer than the time that it may take", async () => {
    const { clock, runner, add } = started();
    const check = add("a", scripted().check, { depth: "business", timeoutMs: 50 });
    const told = vi.fn();
    void runner.refreshed(check).then(told);
    await clock.advance(49);
    expect(told).not.toHaveBeenCalled();
    await clock.advance(1);
    expect(told).toHaveBeenCalled();
    await runner.refreshed(check);
    runner.stop();
  });

  test("the late end of a run that was given up is nobody's answer", async () => {
    const { clock, runner, add } = started();
    const { runs, check: run } = scripted();
    const check = add("a", run, { depth: "business", timeoutMs: 50, intervalMs: 100 });
    void runner.refreshed(check);
    await clock.advance(50 + 200);
    const told = vi.fn();
    void runner.refreshed(check).then(told);
    await clock.advance(0);
    runs[0]?.resolve(undefined);
    await clock.advance(0);
    expect([runs.length, told.mock.calls.length]).toEqual([2, 0]);
    runs[1]?.resolve(undefined);
    await clock.advance(0);
    expect(told).toHaveBeenCalledOnce();
    runner.stop();
  });

  test("before the start nothing runs, and nobody waits", async () => {
    const clock = fakeClock();
    const runner = new CheckRunner({ clock, maxConcurrent: 1 });
    const run = vi.fn();
    const check = resolveCheck("a", run, { depth: "business" }, { taken: [] });
    runner.add(check);
    await runner.refreshed(check);
    await clock.advance(10_000);
    expect([run.mock.calls.length, clock.pending]).toEqual([0, 0]);
  });
});

describe("stop", () => {
  test("aborts what runs, answers who waits, and drops what comes then", async () => {
    const { clock, runner, add } = started();
    const { runs, check: run } = scripted();
    const check = add("a", run, { timeoutMs: 60_000 });
    await clock.advance(10);
    const asked = runner.refreshed(check);
    runner.stop();
    await asked;
    expect(runs[0]?.signal.reason).toMatchObject({ name: "AbortError" });
    runs[0]?.resolve(undefined);
    await clock.advance(60_000);
    expect([runner.result(check).status, runs.length, clock.pending]).toEqual(["pending", 1, 0]);
    runner.start();
    await runner.refreshed(check);
    expect(clock.pending).toBe(0);
  });

  test("may be called by a check, by the observer of one, and by who listens to its signal", async () => {
    for (const how of ["check", "observer", "signal"]) {
      const stop = () => runner.stop();
      const { clock, runner, add } = started({ observer: how === "observer" ? stop : () => {} });
      add("a", ({ signal }) => {
        const listens = { check: stop, observer: () => {}, signal: () => signal.addEventListener("abort", stop) }[how];
        listens?.();
        return how === "signal" ? new Promise(() => {}) : undefined;
      });
      await clock.advance(60_000);
      expect([how, clock.pending]).toEqual([how, 0]);
    }
  });
});

test("the observer is told of changes alone, and one that throws changes nothing", async () => {
  const events: ObserverEvent[] = [];
  const observer = (event: ObserverEvent) => {
    events.push(event);
    throw new Error("no observer");
  };
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  const { clock, runner, add } = started({ observer });
  const results = [true, true, false, false, true];
  add("a", () => results.shift(), { intervalMs: 100 });
  await clock.advance(450);
  runner.stop();
  warn.mockRestore();
  const of = (action: string, error = {}) => ({
    ...{ type: "policy", policy: "health", action },
    detail: { check: "a", depth: "deep", ...error },
  });
  expect(events).toEqual([of("passing"), of("failing", { error: "it returned false" }), of("passing")]);
});

test("a check runs outside of the call in which it was asked for", async () => {
  const { clock, runner, add } = started();
  const seen: unknown[] = [];
  const check = add("a", () => void seen.push(currentCall()), { depth: "business" });
  const context = { a: "call" } as unknown as NonNullable<ReturnType<typeof currentCall>>;
  void runInCall(context, () => runner.refreshed(check));
  await clock.advance(0);
  expect(seen).toEqual([undefined]);
  runner.stop();
});

test("a check that was never added has no result", () => {
  const { runner } = started();
  expect(() => runner.result(resolveCheck("a", () => {}, {}, { taken: [] }))).toThrow(
    new TypeError("there is no check a"),
  );
  runner.stop();
});
