import { describe, expect, test } from "vitest";
import { resolveRetry } from "../../src/contract/resolve.ts";
import { checkMethodPolicy, checkRetry } from "../../src/contract/validate.ts";
import { Status, statusName } from "../../src/core/status.ts";
import type { Jitter } from "../../src/policy/backoff.ts";
import {
  aFailed,
  ENOUGH_TOKENS,
  FOREVER_MS,
  failAll,
  type RetrySetting,
  type RetryUnderTest,
  retries,
  scripted,
  waitsOf,
} from "../support/machines.ts";

/** How many attempts a call makes that always fails. */
const attemptsOf = ({ call }: RetryUnderTest) => failAll(call()).length;

/** Makes calls that succeed at once. */
function succeed({ share }: RetryUnderTest, calls: number): void {
  for (let n = 0; n < calls; n += 1) {
    share.budget.call();
    share.throttling.success();
  }
}

const tokens = ({ share }: RetryUnderTest) => share.throttling.snapshot().tokens;
const inFlight = ({ share }: RetryUnderTest) => share.budget.snapshot().inFlight;

describe("R1 attempts", () => {
  test.each([2, 3, 4, 5])("R1 %d attempts are one and the retries", (maxAttempts) => {
    const decisions = failAll(retries({ maxAttempts }).call());
    expect(decisions.filter(({ retry }) => retry)).toHaveLength(maxAttempts - 1);
    expect(decisions.at(-1)).toEqual({ retry: false, stop: "MAX_ATTEMPTS" });
  });

  test("R1 above five attempts are taken as five, and the limit is settable", () => {
    const policy = { maxAttempts: 9, retryThrottling: ENOUGH_TOKENS };
    expect(attemptsOf(retries(policy))).toBe(5);
    expect(attemptsOf(retries({ ...policy, maxAttemptsLimit: 7 }))).toBe(7);
  });

  test("R1 one attempt is no retry policy", () => {
    expect(checkRetry({ maxAttempts: 1 })).toHaveLength(1);
    expect(checkRetry({ maxAttempts: 2 })).toHaveLength(0);
  });
});

describe("R1 the wait before retry n is drawn from min(initial · multiplier^(n−1), max)", () => {
  const policy = {
    ...{ maxAttempts: 6, maxAttemptsLimit: 6, retryThrottling: ENOUGH_TOKENS },
    ...{ initialBackoffMs: 100, maxBackoffMs: 500, multiplier: 2 },
  };

  /** The five waits of a call, where chance gives the same number each time. */
  const waits = (jitter: Jitter, chance: number) =>
    waitsOf(failAll(retries({ ...policy, jitter, random: () => chance }).call()));

  test.each<[Jitter, number, number[]]>([
    ["full", 0, [0, 0, 0, 0, 0]],
    ["full", 0.5, [50, 100, 200, 250, 250]],
    ["full", 1, [100, 200, 400, 500, 500]],
    ["equal", 0, [50, 100, 200, 250, 250]],
    ["equal", 0.5, [75, 150, 300, 375, 375]],
    ["equal", 1, [100, 200, 400, 500, 500]],
    ["decorrelated", 0, [100, 100, 100, 100, 100]],
    ["decorrelated", 0.5, [200, 350, 500, 500, 500]],
    ["decorrelated", 1, [300, 500, 500, 500, 500]],
    ["a6", 0, [80, 160, 320, 400, 400]],
    ["a6", 0.5, [100, 200, 400, 500, 500]],
  ])("R1 %s, at chance %d", (jitter, chance, expected) => {
    expect(waits(jitter, chance)).toEqual(expected);
  });

  test("R1 a6 may exceed the greatest wait, by a fifth", () => {
    const [first, , , , last] = waits("a6", 1);
    expect(first).toBeCloseTo(120, 9);
    expect(last).toBeCloseTo(600, 9);
  });

  test("R1 the default is full jitter", () => {
    expect(resolveRetry({}).jitter).toBe("full");
  });
});

test("R2 each attempt knows how many there were before it", () => {
  const retry = retries({ maxAttempts: 4 }).call();
  const before = [retry.attempt - 1];
  for (let n = 0; n < 3; n += 1) {
    retry.failed(aFailed(), FOREVER_MS);
    before.push(retry.attempt - 1);
  }
  expect(before).toEqual([0, 1, 2, 3]);
});

test("R3 a call whose headers have come is committed: no further attempt, and nothing for the throttle", () => {
  const set = retries();
  expect(set.call().failed(aFailed({ committed: true }), FOREVER_MS)).toEqual({ retry: false, stop: "COMMITTED" });
  expect(tokens(set)).toBe(10);
});

describe("R4 pushback", () => {
  test("R4 of n ms: the next attempt after exactly n, and the backoff starts anew after it", () => {
    const retry = retries({ maxAttempts: 5, jitter: "a6", random: () => 0.5 }).call();
    const failures = [undefined, undefined, 300, undefined].map((pushbackMs) => aFailed({ pushbackMs }));
    expect(failures.map((failure) => retry.failed(failure, FOREVER_MS))).toEqual([
      { retry: true, delayMs: 50, because: "backoff" },
      { retry: true, delayMs: 100, because: "backoff" },
      { retry: true, delayMs: 300, because: "pushback" },
      { retry: true, delayMs: 50, because: "backoff" },
    ]);
  });

  test("R4 of 0 ms: the next attempt at once", () => {
    const retry = retries().call();
    expect(retry.failed(aFailed({ pushbackMs: 0 }), 1)).toEqual({ retry: true, delayMs: 0, because: "pushback" });
  });

  test("R4 the decorrelated backoff starts anew too", () => {
    const retry = retries({ maxAttempts: 5, jitter: "decorrelated", random: scripted(1, 1, 0.5) }).call();
    const failures = [undefined, undefined, 300, undefined].map((pushbackMs) => aFailed({ pushbackMs }));
    expect(waitsOf(failures.map((failure) => retry.failed(failure, FOREVER_MS)))).toEqual([150, 450, 300, 100]);
  });

  test("R4 negative: no retry, and a failure for the throttle whatever the status", () => {
    const set = retries();
    for (const code of [Status.UNAVAILABLE, Status.NOT_FOUND]) {
      const decision = set.call().failed(aFailed({ code, pushbackMs: -1 }), FOREVER_MS);
      expect(decision).toEqual({ retry: false, stop: "PUSHBACK" });
    }
    expect(tokens(set)).toBe(8);
  });

  test("R4 makes no status retryable, and gives no further attempt", () => {
    const set = retries({ maxAttempts: 2 });
    const failure = aFailed({ code: Status.NOT_FOUND, pushbackMs: 5 });
    expect(set.call().failed(failure, FOREVER_MS)).toEqual({ retry: false, stop: "NOT_RETRYABLE" });
    expect(failAll(set.call(), aFailed({ pushbackMs: 5 }))).toEqual([
      { retry: true, delayMs: 5, because: "pushback" },
      { retry: false, stop: "MAX_ATTEMPTS" },
    ]);
  });
});

describe("R5 a wait that cannot fit into what is left of the deadline is not begun", () => {
  test.each([
    ["R5 one that is 1 ms shorter is", 101, { retry: true, delayMs: 100 }],
    ["R5 one that fits to the millisecond leaves no time for an attempt", 100, { retry: false, stop: "DEADLINE" }],
    ["R5 one that is 1 ms longer is not", 99, { retry: false, stop: "DEADLINE" }],
    ["R5 after the deadline none is", -1, { retry: false, stop: "DEADLINE" }],
  ])("%s", (_, remainingMs, decision) => {
    const backoff = retries({ initialBackoffMs: 100, random: () => 1 });
    const pushback = retries();
    expect(backoff.call().failed(aFailed(), remainingMs)).toMatchObject(decision);
    expect(pushback.call().failed(aFailed({ pushbackMs: 100 }), remainingMs)).toMatchObject(decision);
    expect([inFlight(backoff), inFlight(pushback)]).toEqual(Array(2).fill(Number(decision.retry)));
  });

  test("R5 the deadline spans all attempts and waits", () => {
    const retry = retries({ maxAttempts: 5, initialBackoffMs: 100, random: () => 1 }).call();
    const deadline = 350;
    expect(retry.failed(aFailed(), deadline - 10)).toMatchObject({ delayMs: 100 });
    expect(retry.failed(aFailed(), deadline - 120)).toMatchObject({ delayMs: 200 });
    expect(retry.failed(aFailed(), deadline - 330)).toEqual({ retry: false, stop: "DEADLINE" });
  });
});

test("R6 what the channel retried by itself is one attempt: one failure takes one token, and nothing of the budget", () => {
  const set = retries();
  set.call(1).failed(aFailed(), FOREVER_MS);
  expect(tokens(set)).toBe(9);
  expect(set.share.budget.snapshot()).toEqual({ calls: 1, extraAttempts: 0, inFlight: 0 });
});

describe("R7 the throttle", () => {
  /** Five attempts; ten tokens, a tenth back. */
  const throttled = (changes: RetrySetting = {}) => retries({ maxAttempts: 5, ...changes });

  test("R7 attempts per call are 5, 1, 1, 1, 1 while all fail; after 59 successes 2; after 40 more 4", () => {
    const set = throttled();
    expect(Array.from({ length: 5 }, () => attemptsOf(set))).toEqual([5, 1, 1, 1, 1]);
    expect(tokens(set)).toBe(1);
    succeed(set, 59);
    expect(tokens(set)).toBe(6.9);
    expect(attemptsOf(set)).toBe(2);
    succeed(set, 40);
    expect(tokens(set)).toBe(8.9);
    expect(attemptsOf(set)).toBe(4);
  });

  test("R7 sustained failure: one attempt per call, to the second decimal 1.00", () => {
    const set = throttled();
    const attempts = Array.from({ length: 1_000 }, () => attemptsOf(set));
    expect(attempts.reduce((sum, of) => sum + of) / 1_000).toBeCloseTo(1, 2);
    expect(new Set(attempts.slice(1))).toEqual(new Set([1]));
  });

  test("R7 a denied retry says so, and holds nothing of the budget", () => {
    const set = throttled();
    expect(failAll(set.call()).at(-1)).toEqual({ retry: false, stop: "MAX_ATTEMPTS" });
    expect(failAll(set.call())).toEqual([{ retry: false, stop: "THROTTLED" }]);
    expect(inFlight(set)).toBe(0);
  });

  test("R7 a retry needs more than half of the tokens", () => {
    const set = throttled({ retryThrottling: { maxTokens: 3, tokenRatio: 0.5 } });
    expect(failAll(set.call()).map(({ retry }) => retry)).toEqual([true, false]);
    expect(tokens(set)).toBe(1);
    succeed(set, 2);
    expect(failAll(set.call())).toEqual([{ retry: false, stop: "THROTTLED" }]);
  });

  test("R7 it holds itself at a failure in eleven attempts, ratio/(1+ratio) or 9.1 %, and closes at one in ten", () => {
    /** What it stands at after 1,000 rounds of a failed attempt and so many successes. */
    const standing = (successes: number) => {
      const set = throttled();
      for (let round = 0; round < 1_000; round += 1) {
        set.share.throttling.failure();
        succeed(set, successes);
      }
      return set.share.throttling.snapshot();
    };
    expect(standing(10)).toEqual({ tokens: 10, maxTokens: 10, open: true });
    expect(standing(9)).toEqual({ tokens: 0.9, maxTokens: 10, open: false });
  });

  test("R7 the third decimal of the ratio is the last that counts: 0.5466 gives 0.546", () => {
    const set = throttled({ retryThrottling: { tokenRatio: 0.5466 } });
    attemptsOf(set);
    succeed(set, 1);
    expect(tokens(set)).toBe(5.546);
  });

  test("R7 only what is retried, or the server's no, counts as a failure; each success counts", () => {
    const set = throttled();
    set.call().failed(aFailed({ code: Status.NOT_FOUND }), FOREVER_MS);
    expect(tokens(set)).toBe(10);
    set.call().failed(aFailed({ pushbackMs: -1 }), FOREVER_MS);
    expect(tokens(set)).toBe(9);
    const retry = set.call();
    retry.failed(aFailed(), FOREVER_MS);
    retry.succeeded();
    expect(tokens(set)).toBe(8.1);
  });

  test("R7 it is the target's: one call's failures stop another's retries", () => {
    const set = throttled();
    const [failing, other] = [set.call(), set.call()];
    failAll(failing);
    expect(other.failed(aFailed(), FOREVER_MS)).toEqual({ retry: false, stop: "THROTTLED" });
  });
});

test("R8 a call that is left while it waits, or in a retry, gives back what it held, and costs no token", () => {
  const set = retries();
  const retry = set.call();
  retry.failed(aFailed(), FOREVER_MS);
  expect(inFlight(set)).toBe(1);
  retry.abandoned();
  expect([inFlight(set), tokens(set)]).toEqual([0, 9]);
});

describe("R9 settings", () => {
  test("R9 statuses are names in any case, or integers", () => {
    const { codes } = resolveRetry({ codes: ["unavailable", "Resource_Exhausted", "10"] as never });
    expect([...codes].map(statusName)).toEqual(["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED"]);
  });

  test.each(["NOPE", "17", "-1", "1.5", ""])("R9 %j is no status, and refused", (code) => {
    expect(checkRetry({ codes: ["UNAVAILABLE", code as never] })).toEqual([
      { path: ["retry", "codes", "1"], message: `gRPC has no status "${code}"` },
    ]);
  });

  test("R9 retry and hedge exclude each other", () => {
    const problems = checkMethodPolicy({ retry: {}, hedge: {} }, { kind: "unary", idempotency: "IDEMPOTENT" });
    expect(problems).toMatchObject([{ path: ["hedge"] }]);
  });

  test.each([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 3],
  ])("R9 a call that allows %d of a policy's three attempts has %d", (maxAttempts, expected) => {
    expect(failAll(retries({ maxAttempts: 3 }).call(maxAttempts))).toHaveLength(expected);
  });
});

describe("R10 what is ours", () => {
  test("R10 our own rejections are never retried, whatever their status, and say nothing about the target", () => {
    const set = retries();
    for (const code of [Status.UNAVAILABLE, Status.RESOURCE_EXHAUSTED, Status.DEADLINE_EXCEEDED]) {
      const decision = set.call().failed(aFailed({ code, rejected: true, timedOut: true }), FOREVER_MS);
      expect(decision).toEqual({ retry: false, stop: "REJECTED" });
    }
    expect(tokens(set)).toBe(10);
  });

  test("R10 an attempt that ran into its attempt timeout is retried whatever codes says", () => {
    const failure = aFailed({ code: Status.DEADLINE_EXCEEDED, timedOut: true });
    const set = retries({ codes: ["ABORTED"], maxAttempts: 2 });
    expect(failAll(set.call(), failure).map(({ retry }) => retry)).toEqual([true, false]);
    expect(tokens(set)).toBe(8);
  });

  test("R10 a deadline that the server saw is not one", () => {
    const failure = aFailed({ code: Status.DEADLINE_EXCEEDED });
    expect(retries().call().failed(failure, FOREVER_MS)).toEqual({ retry: false, stop: "NOT_RETRYABLE" });
  });
});

describe("R11 the retry budget", () => {
  /** How many of so many calls may be retried once, with all retries under way at the same time. */
  function retriedOf(set: RetryUnderTest, calls: number): number {
    const made = Array.from({ length: calls }, () => set.call());
    return made.filter((retry) => retry.failed(aFailed(), FOREVER_MS).retry).length;
  }

  const budgeted = (changes: RetrySetting = {}) => retries({ retryThrottling: ENOUGH_TOKENS, ...changes });

  test.each([
    [1, 1],
    [3, 3],
    [10, 3],
    [39, 3],
    [40, 4],
    [100, 10],
  ])("R11 of %d calls that fail at the same time %d are retried", (calls, expected) => {
    expect(retriedOf(budgeted(), calls)).toBe(expected);
  });

  test("R11 a denied retry says so, and the failure is returned at once", () => {
    const set = budgeted();
    retriedOf(set, 3);
    expect(set.call().failed(aFailed(), FOREVER_MS)).toEqual({ retry: false, stop: "BUDGET" });
  });

  test("R11 three under way are allowed again and again, however few the calls", () => {
    const set = budgeted({ maxAttempts: 2 });
    for (let n = 0; n < 50; n += 1) expect(failAll(set.call())).toHaveLength(2);
    expect(set.share.budget.snapshot()).toEqual({ calls: 50, extraAttempts: 50, inFlight: 0 });
  });

  test("R11 calls count for ten seconds, in slices of one", async () => {
    const set = budgeted();
    for (let n = 0; n < 100; n += 1) set.call();
    await set.clock.advance(9_999);
    expect(retriedOf(set, 20)).toBe(12);
    const later = budgeted();
    for (let n = 0; n < 100; n += 1) later.call();
    await later.clock.advance(10_000);
    expect(retriedOf(later, 20)).toBe(3);
  });
});
