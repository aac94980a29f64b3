import { describe, expect, test } from "vitest";
import * as streams from "../../examples/shop/tour/broken-streams.ts";
import * as flaky from "../../examples/shop/tour/flaky-answers.ts";
import * as killed from "../../examples/shop/tour/killed-server.ts";
import * as late from "../../examples/shop/tour/late-answers.ts";
import * as lost from "../../examples/shop/tour/lost-answers.ts";
import * as overload from "../../examples/shop/tour/overload.ts";
import * as pushback from "../../examples/shop/tour/pushback.ts";
import type { Check } from "../../examples/shop/tour/row.ts";
import * as slow from "../../examples/shop/tour/slow-calls.ts";
import * as stale from "../../examples/shop/tour/stale-answers.ts";

function wrong(checks: readonly Check[]): string[] {
  return checks.filter(({ holds }) => !holds).map(({ what }) => what);
}

/** Tests of a row's judge: what it should see passes, and each change of that fails by the named checks. */
function judges<Seen>(judge: (seen: Seen) => Check[], seen: Seen, cases: Record<string, [Partial<Seen>, ...string[]]>) {
  test("passes what it should see", () => expect(wrong(judge(seen))).toEqual([]));
  test.each(Object.entries(cases))("fails when %s", (_, [change, ...what]) => {
    expect(wrong(judge({ ...seen, ...change }))).toEqual(what);
  });
}

const ACCOUNT = "failed attempts that were retried, denied a retry or the last allowed";
const OUTCOMES = "calls that succeeded, were denied or had no attempt left";

describe("1 of 20 answers fails", () => {
  const seen: flaky.Seen = {
    calls: 600,
    succeeded: 600,
    attempts: 631,
    passed: 631,
    failed: 31,
    retried: 31,
    denied: 0,
    toldDenied: 0,
    exhausted: 0,
    throttled: 0,
  };
  judges(flaky.judgeFew, seen, {
    "too few calls are made": [
      { calls: 499, succeeded: 499, attempts: 520, passed: 520, failed: 21, retried: 21 },
      "calls",
    ],
    "reads fail": [{ succeeded: 596, exhausted: 4, failed: 35 }, "share of reads that succeeded"],
    "there are too many attempts": [{ attempts: 637, passed: 637, retried: 37, failed: 37 }, "attempts for each call"],
    "an attempt does not come by": [{ passed: 630 }, "attempts that came by"],
    "a retry is not told of": [{ retried: 30 }, "attempts beyond each call's first", ACCOUNT],
    "a failure is passed over": [{ failed: 32 }, ACCOUNT],
    "a call ends otherwise": [{ succeeded: 599 }, OUTCOMES],
  });
});

describe("3 of 10 answers fail", () => {
  const seen: flaky.Seen = {
    calls: 600,
    succeeded: 430,
    attempts: 615,
    passed: 615,
    failed: 185,
    retried: 15,
    denied: 169,
    toldDenied: 169,
    exhausted: 1,
    throttled: 168,
  };
  judges(flaky.judgeMany, seen, {
    "the throttle stays open": [{ throttled: 0 }, "retries that the throttle denied"],
    "there are too many attempts": [{ attempts: 631, passed: 631, retried: 31, failed: 201 }, "attempts for each call"],
    "a denied call does not say so": [{ toldDenied: 168 }, "denied calls that say so"],
  });
});

describe("a killed server", () => {
  const seen: killed.Seen = {
    calls: 100,
    before: 10,
    failed: 20,
    rejected: 50,
    after: 13,
    passedWhileOpen: 0,
    passedAfter: 13,
    backInTime: true,
    states: ["opened", "half-opened", "closed"],
  };
  judges(killed.judge, seen, {
    "it did not serve before": [{ before: 9 }, "calls that succeeded before the server was killed"],
    "the breaker does not open": [
      { failed: 101, states: [] },
      "calls until the breaker opened",
      "what the breaker did",
    ],
    "the server is back too late": [{ backInTime: false }, "the server was back while the breaker was open"],
    "a call is sent": [{ rejected: 49 }, "calls that were not sent"],
    "an attempt comes by": [{ passedWhileOpen: 1 }, "attempts that came by while it was open"],
    "a trial fails": [{ states: ["opened", "half-opened", "opened", "half-opened", "closed"] }, "what the breaker did"],
    "calls fail after that": [{ after: 9, passedAfter: 9 }, "calls that succeeded after that"],
    "attempts fail after that": [{ passedAfter: 14 }, "attempts that came by after that"],
  });
});

describe("a replica of slow answers", () => {
  const seen: slow.Seen = {
    calls: 60,
    answered: 24,
    rejected: 36,
    attempts: 24,
    started: 24,
    opened: 1,
    counted: 20,
    slow: 20,
    failures: 0,
  };
  judges(slow.judge, seen, {
    "the breaker stays closed": [
      { opened: 0, rejected: 0, answered: 60, attempts: 60, started: 60 },
      "times that the breaker opened",
      "calls that were not sent",
    ],
    "it opens too early": [{ counted: 19, slow: 19 }, "attempts that it had counted"],
    "it opens for another reason": [{ slow: 15 }, "share of slow ones"],
    "it opens for failures": [{ failures: 1 }, "failed ones"],
    "a call fails otherwise": [{ answered: 23 }, "calls that were answered or not sent", "attempts"],
    "an attempt does not arrive": [{ started: 23 }, "calls that the replica saw"],
  });
});

describe("pushback", () => {
  const seen: pushback.Seen = {
    calls: 32,
    succeeded: 16,
    pushedBack: 12,
    earliestMs: 60.2,
    forbidden: 16,
    attemptsOfForbidden: 16,
    toldForbidden: 16,
  };
  judges(pushback.judge, seen, {
    "a call is not retried": [{ succeeded: 15 }, "calls that succeeded after a pushback"],
    "nothing is pushed back": [{ pushedBack: 0 }, "attempts that were pushed back"],
    "an attempt comes too early": [{ earliestMs: 59.9 }, "milliseconds until the next attempt, at the earliest"],
    "a forbidden attempt comes": [{ attemptsOfForbidden: 17 }, "attempts of calls that must not be retried"],
    "an error does not say so": [{ toldForbidden: 15 }, "of these calls, those that say so"],
  });
});

describe("2 of 100 answers are late", () => {
  const alone: late.Reads = {
    ...{ succeeded: 1_000, attempts: 1_000, hedges: 0, losers: 0, passed: 1_000, cancelled: 0, served: 1_000 },
    ...{ lateOnTheWay: 10, leftOnTheWay: 0, lateInServer: 10, leftInServer: 0 },
  };
  const hedged: late.Reads = {
    ...{ succeeded: 1_000, attempts: 1_025, hedges: 25, losers: 24, passed: 1_025, cancelled: 20, served: 1_025 },
    ...{ lateOnTheWay: 10, leftOnTheWay: 9, lateInServer: 10, leftInServer: 8 },
  };
  const waits = "share of them that waited for a late answer, below that of the p99";
  const extra = "attempts beyond their first, as a share of the calls";
  judges(
    late.judge,
    { alone, hedged },
    {
      "nothing is late": [
        { alone: { ...alone, lateOnTheWay: 2, lateInServer: 2 } },
        "share of them that waited for a late answer",
      ],
      "a call without hedges has one": [{ alone: { ...alone, attempts: 1_001 } }, "their attempts"],
      "a call fails": [{ hedged: { ...hedged, succeeded: 999 } }, "calls with hedges that succeeded"],
      "late answers are waited for": [{ hedged: { ...hedged, leftOnTheWay: 2, leftInServer: 1 } }, waits],
      "there are too many attempts": [
        { hedged: { ...hedged, attempts: 1_051, hedges: 51, passed: 1_051, served: 1_051 } },
        extra,
      ],
      "there are none": [
        { hedged: { ...alone, ...{ lateOnTheWay: 0, lateInServer: 0 } } },
        extra,
        "late handlers that the server stopped",
      ],
      "a hedge is not told of": [{ hedged: { ...hedged, hedges: 24 } }, "hedges that were sent"],
      "an attempt does not come by": [{ hedged: { ...hedged, passed: 1_024 } }, "attempts that came by"],
      "an attempt does not arrive": [{ hedged: { ...hedged, served: 1_024 } }, "attempts that the server saw"],
      "losers go on": [{ hedged: { ...hedged, cancelled: 16 } }, "attempts that were cancelled on the wire"],
      "others than losers are cancelled": [
        { hedged: { ...hedged, cancelled: 25 } },
        "attempts that were cancelled on the wire",
      ],
      "the server goes on": [
        { hedged: { ...hedged, lateOnTheWay: 18, leftOnTheWay: 17, lateInServer: 2, leftInServer: 0 } },
        "late handlers that the server stopped",
      ],
    },
  );
});

describe("3 times the load", () => {
  const none = { full: 0, overLimit: 0, throttled: 0, queued: 0, refused: 0 };
  const some: overload.Load = { ...none, calls: 480, succeeded: 140, attempts: 140, started: 140, mostAtOnce: 8 };
  const { bulkhead, adaptiveLimit, throttle, unlimited }: overload.Seen = {
    bulkhead: { ...some, full: 340 },
    adaptiveLimit: { ...some, overLimit: 340 },
    throttle: { ...some, throttled: 200, attempts: 280, started: 280, refused: 140, mostAtOnce: 20 },
    unlimited: { ...some, attempts: 480, started: 480, refused: 340, mostAtOnce: 24 },
  };
  judges(
    overload.judge,
    { bulkhead, adaptiveLimit, throttle, unlimited },
    {
      "the bulkhead lets all through": [
        { bulkhead: { ...bulkhead, full: 0 } },
        "calls rejected with BULKHEAD_FULL",
        "calls behind a bulkhead that succeeded or were rejected",
      ],
      "a call that is let through fails": [
        { adaptiveLimit: { ...adaptiveLimit, succeeded: 139, refused: 1 } },
        "calls behind a limit that succeeded or were rejected",
        "attempts behind a limit",
        "calls behind a limit that the server refused",
      ],
      "the limit is never reached": [
        { adaptiveLimit: { ...adaptiveLimit, overLimit: 0 } },
        "calls rejected with LIMIT_REACHED",
        "calls behind a limit that succeeded or were rejected",
      ],
      "calls wait": [{ bulkhead: { ...bulkhead, queued: 1 } }, "calls behind a bulkhead that waited"],
      "a rejected call reaches the server": [
        { bulkhead: { ...bulkhead, started: 141 } },
        "calls behind a bulkhead that the server saw",
      ],
      "the server has too many": [{ bulkhead: { ...bulkhead, mostAtOnce: 9 } }, "calls behind a bulkhead at a time"],
      "nothing is throttled": [
        { throttle: { ...throttle, throttled: 0, attempts: 480, started: 480 } },
        "calls rejected with CLIENT_THROTTLED",
        "throttled attempts for each that was answered",
      ],
      "a throttled call reaches the server": [
        { throttle: { ...throttle, started: 281 } },
        "throttled calls that the server saw",
      ],
      "nobody is overloaded": [
        { unlimited: { ...unlimited, refused: 0, mostAtOnce: 8 } },
        "of them refused by the server",
        "of them at a time",
      ],
    },
  );
});

describe("a killed server, cached", () => {
  const seen: stale.Seen = {
    read: 40,
    servedBefore: 40,
    stale: 40,
    unavailable: 40,
    substituted: 40,
    again: 80,
    servedAfter: 80,
  };
  judges(stale.judge, seen, {
    "it did not serve before": [{ read: 39 }, "orders read before the server was killed"],
    "it did not answer before": [{ servedBefore: 41 }, "of them answered by the server"],
    "an answer is not marked": [{ stale: 39 }, "of them given while it was gone, the same and marked as stale"],
    "others are made up": [{ unavailable: 39 }, "other orders that failed with UNAVAILABLE"],
    "the fallback fails": [{ substituted: 39 }, "other orders that the fallback answered"],
    "the cache answers when it is back": [
      { again: 79, servedAfter: 79 },
      "orders read fresh when the server was back",
      "of them answered by the server",
    ],
  });
});

describe("3 of 10 answers lost", () => {
  const seen: lost.Seen = {
    keys: 120,
    kills: 5,
    passed: 400,
    lost: 120,
    repeated: 30,
    answered: 120,
    toldTheSame: 120,
    placed: 120,
    told: 120,
    found: 120,
  };
  judges(lost.judge, seen, {
    "the server is not killed": [{ kills: 4 }, "times that the server was killed"],
    "too few answers are lost": [{ lost: 70 }, "share of the answers that were lost"],
    "nothing is repeated": [{ repeated: 0 }, "calls that failed and were repeated"],
    "a call is never answered": [{ answered: 119 }, "keys that were answered"],
    "an order is placed twice": [{ placed: 121 }, "orders placed"],
    "an order is placed twice, and both are told of": [
      { placed: 121, toldTheSame: 119 },
      "orders placed",
      "repetitions that were told of the same order",
    ],
    "two keys are told of one order": [
      { told: 119, found: 119 },
      "orders that somebody was told of",
      "of them there, with what was ordered",
    ],
  });
});

describe("streams on a broken wire", () => {
  const read = { count: 10_000, outOfOrder: 0, digest: "abc" };
  const seen: streams.Seen = {
    readers: Array(200).fill(read),
    database: read,
    failures: [],
    broken: 700,
    resumed: Array(200).fill(6),
    stalled: 1,
    kills: 2,
    slowCount: 900,
    othersCount: 9_500,
    readersMib: [60, 64],
    serverMib: [40, 50],
  };
  const others = Array(199).fill(read);
  judges(streams.judge, seen, {
    "a stream gives up": [{ failures: [new Error("broken")] }, "streams that did not go on"],
    "a reader is missing": [{ readers: others }, "readers"],
    "an event is lost": [
      { readers: [...others, { ...read, count: 9_999, digest: "abd" }] },
      "readers that lack events or had some twice",
      "readers that had something else",
    ],
    "an event comes twice": [
      { readers: [...others, { count: 10_001, outOfOrder: 1, digest: "abe" }] },
      "readers that lack events or had some twice",
      "events out of order",
      "readers that had something else",
    ],
    "other events come": [{ readers: [...others, { ...read, digest: "x" }] }, "readers that had something else"],
    "orders were not placed": [{ database: { ...read, count: 9_750 } }, "events in the database"],
    "the wire holds": [{ broken: 199 }, "connections that were broken"],
    "a break is not resumed": [{ resumed: Array(200).fill(3) }, "times a stream was resumed"],
    "a reader is never cut": [
      { resumed: [...Array(199).fill(6), 2] },
      "readers that were cut by no more than the server's deaths",
    ],
    "nothing stalls": [{ stalled: 0 }, "stalls that were noticed"],
    "the server lives": [{ kills: 1 }, "times the server was killed"],
    "the slow reader is none": [{ slowCount: 9_400 }, "events of the slow reader when the last was placed"],
    "the slow reader reads nothing": [{ slowCount: 0 }, "events of the slow reader when the last was placed"],
    "a reader keeps what it had": [{ readersMib: [60, 120] }, "MiB that the readers' process holds on to in the end"],
    "the server keeps what it sent": [{ serverMib: [40, 80] }, "MiB that the server holds on to in the end"],
    "the server is not looked at": [{ serverMib: [0, 50] }, "MiB that the server holds on to in the end"],
  });
});
