import fc from "fast-check";
import { expect, test } from "vitest";
import { resolveRetry } from "../../src/contract/resolve.ts";
import { Status } from "../../src/core/status.ts";
import { Backoff, type BackoffOptions, type Jitter } from "../../src/policy/backoff.ts";
import { type FailedAttempt, Retry } from "../../src/policy/retry.ts";
import { type BudgetPermit, RetryBudget } from "../../src/policy/retry-budget.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { SlidingCounts } from "../../src/policy/sliding-counts.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { breakerStep, ComparedBreaker, settings } from "../support/compared-breaker.ts";
import { historyOf, passing, pick, same, sameFields, seed, start, which, within } from "../support/histories.ts";
import { FOREVER_MS } from "../support/machines.ts";

const HISTORIES = 10_000;

test("a breaker does and shows after any history what a list of all outcomes says, and closes when all is well again", () => {
  const history = historyOf(breakerStep, 40);
  fc.assert(
    fc.property(settings, start, seed, fc.boolean(), history, (settings, start, seed, meddles, history) => {
      const compared = new ComparedBreaker(settings, start, seed, meddles);
      for (const step of history) {
        compared.take(step);
        compared.check();
      }
      within("rounds of trials until it is closed", compared.recover(), 0, 2);
      compared.checkTold();
    }),
    { numRuns: HISTORIES },
  );
});

test("a throttle has the tokens that exact thousandths say, from none to all of them", () => {
  const tokens = fc.integer({ min: 1, max: 1_000 });
  const tenThousandths = fc.integer({ min: 10, max: 30_000 });
  const history = historyOf(fc.integer({ min: -20, max: 40 }), 20);
  fc.assert(
    fc.property(tokens, tenThousandths, history, (maxTokens, tenThousandths, history) => {
      const throttling = new RetryThrottling({ maxTokens, tokenRatio: tenThousandths / 10_000 });
      const max = BigInt(maxTokens) * 1_000n;
      const gain = BigInt(tenThousandths) / 10n;
      let left = max;
      for (const outcomes of history) {
        for (let n = 0; n < Math.abs(outcomes); n += 1) {
          throttling[outcomes < 0 ? "failure" : "success"]();
          left += outcomes < 0 ? -1_000n : gain;
          left = left < 0n ? 0n : left > max ? max : left;
        }
        sameFields(throttling.snapshot(), { tokens: Number(left) / 1_000, maxTokens, open: left * 2n > max });
        same("allows", throttling.allows(), left * 2n > max);
      }
    }),
    { numRuns: HISTORIES },
  );
});

type BudgetStep =
  | { readonly do: "call"; readonly times: number }
  | { readonly do: "acquire" }
  | { readonly do: "release"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number };

const budgetStep: fc.Arbitrary<BudgetStep> = fc.oneof(
  { weight: 3, arbitrary: fc.nat(12).map((times) => ({ do: "call" as const, times })) },
  { weight: 5, arbitrary: fc.constant({ do: "acquire" as const }) },
  { weight: 3, arbitrary: which.map((which) => ({ do: "release" as const, which })) },
  { weight: 2, arbitrary: passing.map((ms) => ({ do: "pass" as const, ms })) },
);

test("a budget lends no more than its share or what may be under way, and gets back all that it lent, once", () => {
  const percent = fc.constantFrom(1, 7, 10, 29, 57, 100);
  fc.assert(
    fc.property(percent, fc.nat(4), start, historyOf(budgetStep, 40), (percent, minInFlight, start, history) => {
      let now = start;
      const budget = new RetryBudget({ ratio: percent / 100, windowMs: 1_000, minInFlight }, { now: () => now });
      const times = { calls: [] as number[], extra: [] as number[] };
      const lent: BudgetPermit[] = [];
      const open = new Set<BudgetPermit>();
      const kept = (at: readonly number[]) =>
        at.filter((at) => Math.floor(at / 100) > Math.floor(now / 100) - 10).length;
      const acquire = () => {
        const fits = (kept(times.extra) + 1) * 100 <= percent * kept(times.calls);
        const permit = budget.tryAcquire();
        same("whether it lends", permit !== undefined, open.size < minInFlight || fits);
        if (!permit) return;
        times.extra.push(now);
        lent.push(permit);
        open.add(permit);
      };
      const release = (permit: BudgetPermit | undefined) => {
        permit?.release();
        if (permit) open.delete(permit);
      };
      const call = () => {
        budget.call();
        times.calls.push(now);
      };
      for (const step of history) {
        if (step.do === "call") for (let n = 0; n < step.times; n += 1) call();
        if (step.do === "acquire") acquire();
        if (step.do === "release") release(pick(lent, step.which));
        if (step.do === "pass") now += step.ms;
        const expected = { calls: kept(times.calls), extraAttempts: kept(times.extra), inFlight: open.size };
        sameFields(budget.snapshot(), expected);
        sameFields(budget.snapshot(), expected);
      }
      for (const permit of [...lent, ...lent]) permit.release();
      now += 1_000;
      sameFields(budget.snapshot(), { calls: 0, extraAttempts: 0, inFlight: 0 });
    }),
    { numRuns: HISTORIES },
  );
});

const waits: fc.Arbitrary<BackoffOptions> = fc.record({
  initialBackoffMs: fc.constantFrom(1, 50, 100, 2_000),
  maxBackoffMs: fc.constantFrom(75, 1_000, 60_000),
  multiplier: fc.constantFrom(0.5, 1, 1.6, 2, 10),
  jitter: fc.constantFrom<Jitter>("full", "equal", "decorrelated", "a6"),
});

/** The least and the most that wait n, from 0, may be after a last one of so many milliseconds. */
function bounds(options: BackoffOptions, n: number, lastMs: number): [number, number] {
  const { initialBackoffMs, maxBackoffMs, multiplier, jitter } = options;
  const bound = Math.min(initialBackoffMs * multiplier ** n, maxBackoffMs);
  const first = Math.min(initialBackoffMs, maxBackoffMs);
  const all: Record<Jitter, [number, number]> = {
    full: [0, bound],
    equal: [bound / 2, bound],
    decorrelated: [first, Math.max(first, Math.min(lastMs * 3, maxBackoffMs))],
    a6: [bound * 0.8, bound * 1.2],
  };
  return all[jitter];
}

test("each wait of a backoff is within its bounds, and after reset they start anew", () => {
  const resets = fc.array(fc.boolean(), { maxLength: 12, size: "max" });
  fc.assert(
    fc.property(waits, seed, resets, (policy, seed, resets) => {
      const backoff = new Backoff(policy, seededRandom(seed));
      let [n, last] = [0, policy.initialBackoffMs];
      for (const reset of resets) {
        if (reset) backoff.reset();
        if (reset) [n, last] = [0, policy.initialBackoffMs];
        const wait = backoff.next();
        within("wait", wait, ...bounds(policy, n, last));
        [n, last] = [n + 1, wait];
      }
    }),
    { numRuns: HISTORIES },
  );
});

type RetryStep =
  | { readonly do: "fail"; readonly call: number; readonly failure: FailedAttempt; readonly remainingMs: number }
  | { readonly do: "succeed" | "abandon"; readonly call: number }
  | { readonly do: "pass"; readonly ms: number };

const call = fc.nat(4);
const failure: fc.Arbitrary<FailedAttempt> = fc.record({
  code: fc.constantFrom(Status.UNAVAILABLE, Status.UNAVAILABLE, Status.UNAVAILABLE, Status.NOT_FOUND),
  committed: fc.nat(9).map((n) => n === 0),
  pushbackMs: fc.constantFrom(undefined, undefined, undefined, undefined, -1, 0, 7, 2_000),
  timedOut: fc.nat(5).map((n) => n === 0),
  rejected: fc.nat(9).map((n) => n === 0),
});
const retryStep: fc.Arbitrary<RetryStep> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(call, failure, fc.constantFrom(FOREVER_MS, FOREVER_MS, FOREVER_MS, 1_000, 100, 10, 0, -5))
      .map(([call, failure, remainingMs]) => ({ do: "fail" as const, call, failure, remainingMs })),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom("succeed" as const, "succeed" as const, "abandon" as const), call)
      .map(([what, call]) => ({ do: what, call })),
  },
  { weight: 1, arbitrary: passing.map((ms) => ({ do: "pass" as const, ms })) },
);

/** A call under test, beside what is known of it. */
interface KnownCall {
  readonly retry: Retry;
  attempts: number;
  /** Waits by backoff since the last pushback. */
  waits: number;
  lastMs: number;
}

test("calls make no more attempts than allowed, wait within bounds, and give back every permit however they end", () => {
  const maxAttempts = fc.integer({ min: 2, max: 5 });
  const own = fc.constantFrom<(number | undefined)[]>(undefined, undefined, 1, 2, 9);
  const history = historyOf(retryStep, 40);
  fc.assert(
    fc.property(waits, maxAttempts, own, seed, history, (waits, maxAttempts, own = FOREVER_MS, seed, history) => {
      let now = 0;
      const policy = { ...waits, maxAttempts };
      const share = {
        throttling: new RetryThrottling({ maxTokens: 10, tokenRatio: 1 }),
        budget: new RetryBudget({ ratio: 0.1, windowMs: 10_000, minInFlight: 3 }, { now: () => now }),
      };
      const random = seededRandom(seed);
      const calls = new Map<number, KnownCall>();
      const begin = (call: number): KnownCall => {
        share.budget.call();
        const retry = new Retry(resolveRetry(policy), share, random, own);
        const known = { retry, attempts: 1, waits: 0, lastMs: waits.initialBackoffMs };
        calls.set(call, known);
        return known;
      };
      const fail = (call: number, failure: FailedAttempt, remainingMs: number) => {
        const known = calls.get(call) ?? begin(call);
        same("attempt", known.retry.attempt, known.attempts);
        const decision = known.retry.failed(failure, remainingMs);
        if (!decision.retry) return calls.delete(call);
        const { delayMs, because } = decision;
        known.attempts += 1;
        within("attempts", known.attempts, 2, Math.min(maxAttempts, own));
        same("what may be tried again", failure.committed || failure.rejected || !share.throttling.allows(), false);
        same("whether the wait fits", delayMs < remainingMs, true);
        same("because", because, failure.pushbackMs === undefined ? "backoff" : "pushback");
        if (failure.pushbackMs !== undefined) {
          same("pushback", delayMs, failure.pushbackMs);
          return Object.assign(known, { waits: 0, lastMs: waits.initialBackoffMs });
        }
        within("wait", delayMs, ...bounds(waits, known.waits, known.lastMs));
        return Object.assign(known, { waits: known.waits + 1, lastMs: delayMs });
      };
      const end = (call: number, how: "succeeded" | "abandoned") => {
        const known = calls.get(call);
        known?.retry[how]();
        known?.retry.abandoned();
        calls.delete(call);
      };
      for (const step of history) {
        if (step.do === "fail") fail(step.call, step.failure, step.remainingMs);
        if (step.do === "succeed") end(step.call, "succeeded");
        if (step.do === "abandon") end(step.call, "abandoned");
        if (step.do === "pass") now += step.ms;
        const extra = [...calls.values()].filter(({ attempts }) => attempts > 1).length;
        same("permits in flight", share.budget.snapshot().inFlight, extra);
        within("tokens", share.throttling.snapshot().tokens, 0, 10);
      }
      for (const call of calls.keys()) end(call, "abandoned");
      same("permits in flight", share.budget.snapshot().inFlight, 0);
    }),
    { numRuns: HISTORIES },
  );
});

test("sliding counts are those of a list, and looking at them changes nothing, whatever time does", () => {
  const windowMs = fc.constantFrom(2.5, 10, 1_000, 10_000, Number.POSITIVE_INFINITY);
  const jump = fc.oneof(passing, passing, fc.constantFrom(0, -0.25, -50, -5_000));
  const step = fc.record({ jump, kind: fc.nat(1), times: fc.nat(3), ahead: passing, forget: fc.nat(40) });
  fc.assert(
    fc.property(windowMs, start, historyOf(step, 25), (windowMs, start, history) => {
      const counts = new SlidingCounts(windowMs, 2);
      const slice = (at: number) => Math.floor(at / (windowMs / 10));
      let [now, latest] = [start, Number.NEGATIVE_INFINITY];
      let seen: { readonly at: number; readonly kind: number }[] = [];
      const listed = (kind: number, now: number) =>
        seen.filter((one) => one.kind === kind && slice(one.at) > slice(now) - 10).length;
      for (const { jump, kind, times, ahead, forget } of history) {
        now += jump;
        latest = Math.max(latest, now);
        same("before it is advanced", counts.totalAt(kind, now), listed(kind, latest));
        counts.advance(now);
        for (let n = 0; n < times; n += 1) {
          counts.add(kind);
          seen.push({ at: latest, kind });
        }
        if (forget === 0) counts.reset();
        if (forget === 0) seen = [];
        for (const kind of [0, 1]) {
          same("later", counts.totalAt(kind, latest + ahead), listed(kind, latest + ahead));
          same("earlier", counts.totalAt(kind, latest - ahead), listed(kind, latest));
          same("now", counts.total(kind), listed(kind, latest));
        }
      }
      counts.advance(latest + windowMs);
      if (Number.isFinite(windowMs)) expect([counts.total(0), counts.total(1)]).toEqual([0, 0]);
    }),
    { numRuns: HISTORIES },
  );
});
