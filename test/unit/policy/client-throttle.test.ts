import { describe, expect, test } from "vitest";
import { resolveThrottle } from "../../../src/contract/resolve.ts";
import { ClientThrottle, type ThrottlePermit } from "../../../src/policy/client-throttle.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { scripted } from "../../support/machines.ts";

/** With chance that lets everything through, unless something else is said. */
function aThrottle(policy = {}, random = () => 0.999_999) {
  const clock = fakeClock();
  return { throttle: new ClientThrottle(resolveThrottle(policy), clock, random), clock };
}

function granted(throttle: ClientThrottle): ThrottlePermit {
  const permit = throttle.tryAcquire();
  if (!permit.granted) throw new Error("a permit was expected");
  return permit;
}

function make(throttle: ClientThrottle, calls: number, how: "success" | "failure" | "ignore"): void {
  for (let n = 0; n < calls; n += 1) granted(throttle)[how]();
}

test.each([
  [2, 0, 0, 0],
  [2, 1, 0, 1 / 2],
  [2, 9, 0, 9 / 10],
  [2, 10, 5, 0],
  [2, 11, 5, 1 / 12],
  [2, 100, 50, 0],
  [2, 100, 20, 60 / 101],
  [1.1, 100, 50, (100 - 1.1 * 50) / 101],
  [1, 3, 3, 0],
])("with k %d, of %d requests %d accepted, rejects with probability %d", (k, requests, accepts, probability) => {
  const { throttle } = aThrottle({ k });
  // Accepted ones first, so that chance never comes to it.
  make(throttle, accepts, "success");
  make(throttle, requests - accepts, "failure");
  expect(throttle.snapshot()).toEqual({ requests, accepts, probability });
});

test.each([
  [0.499_999, false],
  [0.5, true],
])("chance of %d where half are rejected: granted %j", (chance, expected) => {
  const { throttle } = aThrottle({}, scripted(chance));
  make(throttle, 1, "failure");
  expect(throttle.tryAcquire().granted).toBe(expected);
});

test("chance is not asked while nothing is rejected", () => {
  const { throttle } = aThrottle({}, () => expect.unreachable("chance was asked"));
  make(throttle, 3, "success");
  make(throttle, 3, "failure");
  expect(throttle.tryAcquire().granted).toBe(true);
});

test("what is rejected here counts as a request, with the probability of its time", () => {
  const { throttle } = aThrottle({}, scripted(0.9, 0, 0));
  make(throttle, 1, "failure");
  expect(throttle.tryAcquire()).toMatchObject({ granted: true });
  expect(throttle.tryAcquire()).toEqual({ granted: false, probability: 1 / 2 });
  expect(throttle.tryAcquire()).toEqual({ granted: false, probability: 2 / 3 });
  expect(throttle.snapshot()).toMatchObject({ requests: 3, accepts: 0 });
});

test("calls that are under way are none that were not accepted", () => {
  const { throttle } = aThrottle({}, () => 0);
  const burst = Array.from({ length: 100 }, () => granted(throttle));
  for (const permit of burst) permit.success();
  expect(throttle.snapshot()).toEqual({ requests: 100, accepts: 100, probability: 0 });
});

test("each outcome counts once, and what says nothing not at all", () => {
  const { throttle } = aThrottle();
  make(throttle, 5, "ignore");
  const permit = granted(throttle);
  permit.success();
  permit.failure();
  permit.success();
  const ignored = granted(throttle);
  ignored.ignore();
  ignored.failure();
  expect(throttle.snapshot()).toEqual({ requests: 1, accepts: 1, probability: 0 });
});

describe("B2 the window forgets by the clock", () => {
  test.each([
    [899, 9],
    [1_000, 0],
  ])("after %d of 1,000 ms it has %d requests", async (ms, requests) => {
    const { throttle, clock } = aThrottle({ windowMs: 1_000 });
    make(throttle, 9, "failure");
    await clock.advance(ms);
    expect(throttle.snapshot().requests).toBe(requests);
    expect(throttle.snapshot().requests).toBe(requests);
  });

  test("so that calls go through again", async () => {
    const { throttle, clock } = aThrottle({}, scripted(0.999, 0));
    make(throttle, 1, "failure");
    expect(throttle.tryAcquire().granted).toBe(true);
    expect(throttle.tryAcquire().granted).toBe(false);
    await clock.advance(120_000);
    expect(throttle.tryAcquire().granted).toBe(true);
  });
});
