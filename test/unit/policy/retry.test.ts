import { describe, expect, test } from "vitest";
import { Status } from "../../../src/core/status.ts";
import type { RetryBudget } from "../../../src/policy/retry-budget.ts";
import {
  aFailed,
  ENOUGH_TOKENS,
  FOREVER_MS,
  failAll,
  type RetrySetting,
  retries,
  waitsOf,
} from "../../support/machines.ts";

/** What a budget stands at that lends nothing. */
const lent = (budget: RetryBudget) => budget.snapshot().inFlight;

describe("after a failure", () => {
  test("says when the next attempt is due, and counts it", () => {
    const retry = retries().call();
    expect(retry.attempt).toBe(1);
    expect(retry.failed(aFailed(), FOREVER_MS)).toEqual({ retry: true, delayMs: 25, because: "backoff" });
    expect(retry.attempt).toBe(2);
  });

  test("says why there is none, and counts on with what was made", () => {
    const retry = retries({ maxAttempts: 2 }).call();
    expect(failAll(retry).at(-1)).toEqual({ retry: false, stop: "MAX_ATTEMPTS" });
    expect(retry.attempt).toBe(2);
  });
});

describe("of several reasons to stop, the first of these is told", () => {
  const exhausted: RetrySetting = { retryThrottling: { maxTokens: 1 }, maxAttempts: 2 };

  test.each<[string, Parameters<typeof aFailed>[0], number, string]>([
    ["the client's own rejection", { rejected: true, committed: true, pushbackMs: -1 }, 0, "REJECTED"],
    ["headers had come", { committed: true, pushbackMs: -1, code: Status.NOT_FOUND }, 0, "COMMITTED"],
    ["the server said no", { pushbackMs: -1, code: Status.NOT_FOUND }, 0, "PUSHBACK"],
    ["a status that is not retried", { code: Status.NOT_FOUND }, 0, "NOT_RETRYABLE"],
    ["the throttle", {}, 0, "THROTTLED"],
  ])("%s", (_, failure, remainingMs, stop) => {
    const retry = retries(exhausted).call();
    expect(retry.failed(aFailed(failure), remainingMs)).toEqual({ retry: false, stop });
  });

  test("attempts go before the throttle", () => {
    expect(retries(exhausted).call(1).failed(aFailed(), 0)).toEqual({ retry: false, stop: "MAX_ATTEMPTS" });
  });

  test("the deadline goes before the budget, and takes nothing of it", () => {
    const { call, share } = retries({ retryBudget: { minInFlight: 1 } });
    share.budget.tryAcquire();
    expect(call().failed(aFailed(), 25)).toEqual({ retry: false, stop: "DEADLINE" });
    expect(call().failed(aFailed(), 26)).toEqual({ retry: false, stop: "BUDGET" });
    expect(lent(share.budget)).toBe(1);
  });
});

describe("the permit of the budget", () => {
  test("is held while an extra attempt is waited for or under way, one at a time", () => {
    const { call, share } = retries({ maxAttempts: 3 });
    const retry = call();
    const held = [lent(share.budget)];
    for (let n = 0; n < 3; n += 1) {
      retry.failed(aFailed(), FOREVER_MS);
      held.push(lent(share.budget));
    }
    expect(held).toEqual([0, 1, 1, 0]);
  });

  test.each<[string, (retry: ReturnType<ReturnType<typeof retries>["call"]>) => void]>([
    ["the attempt succeeds", (retry) => retry.succeeded()],
    ["nobody waits any more", (retry) => retry.abandoned()],
    ["the attempt fails for good", (retry) => void retry.failed(aFailed({ code: Status.NOT_FOUND }), FOREVER_MS)],
    ["the attempt is committed", (retry) => void retry.failed(aFailed({ committed: true }), FOREVER_MS)],
    ["the client refuses the attempt", (retry) => void retry.failed(aFailed({ rejected: true }), FOREVER_MS)],
    ["the server says no", (retry) => void retry.failed(aFailed({ pushbackMs: -1 }), FOREVER_MS)],
    ["the next wait does not fit", (retry) => void retry.failed(aFailed(), 1)],
  ])("is given back when %s, once", (_, end) => {
    const { call, share } = retries();
    const other = call();
    other.failed(aFailed(), FOREVER_MS);
    const retry = call();
    retry.failed(aFailed(), FOREVER_MS);
    expect(lent(share.budget)).toBe(2);
    end(retry);
    expect(lent(share.budget)).toBe(1);
    retry.abandoned();
    expect(lent(share.budget)).toBe(1);
  });
});

describe("the throttle", () => {
  test.each<[string, Parameters<typeof aFailed>[0], number]>([
    ["a failure that is retried takes a token", {}, 9],
    ["so does an attempt that took too long", { code: Status.DEADLINE_EXCEEDED, timedOut: true }, 9],
    ["so does the server's no, whatever the status", { code: Status.NOT_FOUND, pushbackMs: -1 }, 9],
    ["one that does both takes one", { pushbackMs: -1 }, 9],
    ["the server's word on when takes what its status takes", { pushbackMs: 5 }, 9],
    ["a status that is not retried takes none", { code: Status.NOT_FOUND }, 10],
    ["nor with the server's word on when", { code: Status.NOT_FOUND, pushbackMs: 5 }, 10],
    ["nor does one that is committed", { committed: true }, 10],
    ["nor does the client's own rejection", { rejected: true }, 10],
  ])("%s", (_, failure, tokens) => {
    const { call, share } = retries();
    call().failed(aFailed(failure), FOREVER_MS);
    expect(share.throttling.snapshot().tokens).toBe(tokens);
  });

  test("gets a part of a token back for a success, and nothing where nobody waits", () => {
    const { call, share } = retries();
    const [first, second] = [call(), call()];
    first.failed(aFailed(), FOREVER_MS);
    second.failed(aFailed(), FOREVER_MS);
    first.succeeded();
    second.abandoned();
    expect(share.throttling.snapshot().tokens).toBe(8.1);
  });
});

describe("a wait", () => {
  test("is the server's, to the millisecond and without chance", () => {
    const retry = retries().call();
    expect(retry.failed(aFailed({ pushbackMs: 1_234 }), FOREVER_MS)).toEqual({
      retry: true,
      delayMs: 1_234,
      because: "pushback",
    });
  });

  test("that is no number is not begun", () => {
    const retry = retries({ initialBackoffMs: Number.POSITIVE_INFINITY, maxBackoffMs: Number.POSITIVE_INFINITY });
    expect(retry.call().failed(aFailed(), FOREVER_MS)).toEqual({ retry: false, stop: "DEADLINE" });
    expect(retry.call().failed(aFailed({ pushbackMs: Number.NaN }), 100)).toEqual({ retry: false, stop: "DEADLINE" });
  });

  test("after the deadline is not begun, not even one of no time", () => {
    const { call } = retries();
    expect(call().failed(aFailed({ pushbackMs: 0 }), 0)).toEqual({ retry: false, stop: "DEADLINE" });
    expect(call().failed(aFailed({ pushbackMs: 0 }), -5)).toEqual({ retry: false, stop: "DEADLINE" });
    expect(call().failed(aFailed({ pushbackMs: 0 }), 0.1)).toMatchObject({ retry: true, delayMs: 0 });
  });

  test("belongs to its call: another's starts anew", () => {
    const { call } = retries({ maxAttempts: 3, retryThrottling: ENOUGH_TOKENS });
    expect([failAll(call()), failAll(call())].map(waitsOf)).toEqual([
      [25, 50],
      [25, 50],
    ]);
  });
});

test("a server that left in good order is tried again, and takes no token", () => {
  const { share, call } = retries();
  const retry = call();
  expect(retry.failed(aFailed({ drained: true }), FOREVER_MS)).toMatchObject({ retry: true });
  expect(share.throttling.snapshot().tokens).toBe(10);
});
