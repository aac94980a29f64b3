import fc from "fast-check";
import { test } from "vitest";
import { Backoff } from "../../src/policy/backoff.ts";
import { RetryThrottling } from "../../src/policy/retry-throttling.ts";
import { SlidingCounts } from "../../src/policy/sliding-counts.ts";
import { seededRandom } from "../../src/testing/index.ts";
import { breakerStep, ComparedBreaker, settings } from "../support/compared-breaker.ts";
import { budgetStep, ComparedBudget } from "../support/compared-budget.ts";
import { bounds, ComparedCalls, retryStep, waits } from "../support/compared-calls.ts";
import { historyOf, passing, same, sameFields, seed, start, within } from "../support/histories.ts";

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

test("a budget lends no more than its share or what may be under way, and gets back all that it lent, once", () => {
  const percent = fc.constantFrom(1, 7, 10, 29, 57, 100);
  fc.assert(
    fc.property(percent, fc.nat(4), start, historyOf(budgetStep, 40), (percent, minInFlight, start, history) => {
      const compared = new ComparedBudget(percent, minInFlight, start);
      for (const step of history) {
        compared.take(step);
        compared.check();
      }
      compared.releaseAll();
      compared.check();
    }),
    { numRuns: HISTORIES },
  );
});

test("each wait of a backoff is within its bounds, and after reset they start anew", () => {
  const rounds = fc.array(fc.nat(6), { maxLength: 4, size: "max" });
  fc.assert(
    fc.property(waits, seed, rounds, (options, seed, rounds) => {
      const backoff = new Backoff(options, seededRandom(seed));
      for (const round of rounds) {
        let last = options.initialBackoffMs;
        for (let n = 0; n < round; n += 1) {
          const wait = backoff.next();
          within("wait", wait, ...bounds(options, n, last));
          last = wait;
        }
        backoff.reset();
      }
    }),
    { numRuns: HISTORIES },
  );
});

test("calls make no more attempts than allowed, wait within bounds, and give back every permit however they end", () => {
  const maxAttempts = fc.integer({ min: 2, max: 5 });
  const own = fc.constantFrom<(number | undefined)[]>(undefined, undefined, 1, 2, 9);
  const history = historyOf(retryStep, 40);
  fc.assert(
    fc.property(waits, maxAttempts, own, seed, history, (waits, maxAttempts, own, seed, history) => {
      const calls = new ComparedCalls(waits, maxAttempts, own, seed);
      for (const step of history) {
        calls.take(step);
        calls.check();
      }
      calls.leaveAll();
      calls.check();
    }),
    { numRuns: HISTORIES },
  );
});

test("sliding counts are those of a list, and looking at them changes nothing, whatever time does", () => {
  const windowMs = fc.constantFrom(2.5, 10, 1_000, 10_000, Number.POSITIVE_INFINITY);
  const jump = fc.oneof(passing, passing, fc.constantFrom(0, -0.25, -50, -5_000));
  const step = fc.record({ jump, kind: fc.nat(1), times: fc.nat(3), ahead: passing });
  const rounds = fc.array(historyOf(step, 20), { minLength: 1, maxLength: 2 });
  fc.assert(
    fc.property(windowMs, start, rounds, (windowMs, start, rounds) => {
      const counts = new SlidingCounts(windowMs, 2);
      const slice = (at: number) => Math.floor(at / (windowMs / 10));
      let [now, latest] = [start, Number.NEGATIVE_INFINITY];
      for (const round of rounds) {
        const seen: { readonly at: number; readonly kind: number }[] = [];
        const listed = (kind: number, now: number) =>
          seen.filter((one) => one.kind === kind && slice(one.at) > slice(now) - 10).length;
        for (const { jump, kind, times, ahead } of round) {
          now += jump;
          latest = Math.max(latest, now);
          same("before it is advanced", counts.totalAt(kind, now), listed(kind, latest));
          counts.advance(now);
          for (let n = 0; n < times; n += 1) {
            counts.add(kind);
            seen.push({ at: latest, kind });
          }
          for (const kind of [0, 1]) {
            same("later", counts.totalAt(kind, latest + ahead), listed(kind, latest + ahead));
            same("earlier", counts.totalAt(kind, latest - ahead), listed(kind, latest));
            same("now", counts.total(kind), listed(kind, latest));
          }
        }
        counts.reset();
      }
    }),
    { numRuns: HISTORIES },
  );
});
