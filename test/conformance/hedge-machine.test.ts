import { describe, expect, test } from "vitest";
import { resolveHedge } from "../../src/contract/resolve.ts";
import { checkHedge, checkMethodPolicy } from "../../src/contract/validate.ts";
import { Status } from "../../src/core/status.ts";
import type { Hedge } from "../../src/policy/hedge.ts";
import { aLoss, type HedgesUnderTest, hedges } from "../support/hedging.ts";
import { ENOUGH_TOKENS } from "../support/machines.ts";

const tokens = ({ share }: HedgesUnderTest) => share.throttling.snapshot().tokens;
const inFlight = ({ share }: HedgesUnderTest) => share.budget.snapshot().inFlight;
const NEVER = Number.POSITIVE_INFINITY;

/** Moves to the instant at which the next attempt is due, and has it sent. */
async function sendNext({ clock }: HedgesUnderTest, hedge: Hedge) {
  await clock.advance(hedge.dueAt - clock.now());
  return hedge.due();
}

describe("H1 attempts at 0, d, 2d …; the first OK wins, the others are cancelled", () => {
  test("H1 each is due a delay after the one before it, until there are as many as allowed", async () => {
    const set = hedges({ maxAttempts: 4 });
    const hedge = set.call();
    const due: number[] = [];
    while (hedge.dueAt !== NEVER) {
      due.push(hedge.dueAt);
      await sendNext(set, hedge);
    }
    expect(due).toEqual([100, 200, 300]);
    expect([hedge.sent, hedge.running]).toEqual([4, 4]);
  });

  test("H1 with a delay of 0 all are due at once", () => {
    const hedge = hedges({ maxAttempts: 3, delayMs: 0 }).call();
    expect([hedge.dueAt, hedge.due(), hedge.dueAt, hedge.due(), hedge.dueAt]).toEqual([
      0,
      { send: true, attempt: 2, because: "delay" },
      0,
      { send: true, attempt: 3, because: "delay" },
      NEVER,
    ]);
  });

  test.each([1, 2, 3])(
    "H1 attempt %d wins: nothing more is due, and the others are to be cancelled",
    async (winner) => {
      const set = hedges({ maxAttempts: 4 });
      const hedge = set.call();
      await sendNext(set, hedge);
      await sendNext(set, hedge);
      expect(inFlight(set)).toBe(2);
      expect(hedge.succeeded(winner)).toEqual([1, 2, 3].filter((attempt) => attempt !== winner));
      expect([hedge.dueAt, hedge.running, inFlight(set)]).toEqual([NEVER, 0, 0]);
      expect([1, 2, 3].some((attempt) => hedge.isRunning(attempt))).toBe(false);
    },
  );

  test("H1 an answer before the delay: no other attempt was due, and nobody has lost", async () => {
    const set = hedges();
    const hedge = set.call();
    await set.clock.advance(99);
    expect(hedge.dueAt).toBe(100);
    expect(hedge.succeeded(1)).toEqual([]);
    expect(hedge.dueAt).toBe(NEVER);
  });

  test.each([
    [9, undefined, 5],
    [9, 7, 7],
    [3, undefined, 3],
    [undefined, undefined, 2],
  ])("H1 of %s attempts, with a limit of %s, there are %d", (maxAttempts, limit, expected) => {
    const policy = { retryThrottling: ENOUGH_TOKENS, retryBudget: { ratio: 1, minInFlight: 10 }, delayMs: 0 };
    const wanted = { ...(maxAttempts && { maxAttempts }), ...(limit && { maxAttemptsLimit: limit }) };
    const hedge = hedges({ ...policy, ...wanted }).call();
    while (hedge.dueAt === 0) hedge.due();
    expect(hedge.sent).toBe(expected);
  });

  test.each([
    [1, 1],
    [2, 2],
    [4, 3],
  ])("H1 a call that allows %d of a policy's three attempts has %d", (maxAttempts, expected) => {
    const hedge = hedges({ maxAttempts: 3, delayMs: 0 }).call(maxAttempts);
    while (hedge.dueAt === 0) hedge.due();
    expect(hedge.sent).toBe(expected);
  });

  test("H1 none is due at the deadline or after it", async () => {
    const set = hedges({ maxAttempts: 3 });
    expect(set.call(undefined, 100).dueAt).toBe(NEVER);
    const hedge = set.call(undefined, 101);
    expect(hedge.dueAt).toBe(100);
    await sendNext(set, hedge);
    expect(hedge.dueAt).toBe(NEVER);
  });

  test("H1 one whose timer comes after the deadline is not sent", async () => {
    const set = hedges();
    const hedge = set.call(undefined, 150);
    await set.clock.advance(150);
    expect(hedge.due()).toEqual({ send: false, stop: "DEADLINE" });
  });

  test("H1 one attempt is no hedge policy, and streams have none", () => {
    expect(checkHedge({ maxAttempts: 1 })).toHaveLength(1);
    expect(checkMethodPolicy({ hedge: {} }, { kind: "server-stream", idempotency: "IDEMPOTENT" })).toHaveLength(1);
    expect(checkMethodPolicy({ hedge: {} }, { kind: "unary", idempotency: "IDEMPOTENT" })).toHaveLength(0);
  });
});

describe("H2 a failure", () => {
  test("H2 of a status that is not fatal: the next at once, those after it a delay later each", async () => {
    const set = hedges({ maxAttempts: 4 });
    const hedge = set.call();
    await set.clock.advance(30);
    expect(hedge.failed(1, aLoss())).toBeUndefined();
    expect(hedge.dueAt).toBe(30);
    expect(hedge.due()).toEqual({ send: true, attempt: 2, because: "failure" });
    expect(hedge.dueAt).toBe(130);
    expect(await sendNext(set, hedge)).toEqual({ send: true, attempt: 3, because: "delay" });
    expect(hedge.dueAt).toBe(230);
  });

  test("H2 two of them in the same turn: one attempt for each", async () => {
    const set = hedges({ maxAttempts: 4 });
    const hedge = set.call();
    await sendNext(set, hedge);
    expect([hedge.failed(1, aLoss()), hedge.due()]).toMatchObject([undefined, { attempt: 3 }]);
    expect([hedge.failed(2, aLoss()), hedge.due()]).toMatchObject([undefined, { attempt: 4 }]);
    expect([hedge.dueAt, hedge.running]).toEqual([NEVER, 2]);
  });

  test.each([Status.NOT_FOUND, Status.DEADLINE_EXCEEDED, Status.INTERNAL])(
    "H2 of any other status, such as %d, ends the call, whatever else is under way",
    async (code) => {
      const set = hedges({ maxAttempts: 4 });
      const hedge = set.call();
      await sendNext(set, hedge);
      await sendNext(set, hedge);
      expect(hedge.failed(2, aLoss({ code }))).toBe("NOT_RETRYABLE");
      expect(hedge.abandoned()).toEqual([1, 3]);
      expect([hedge.dueAt, inFlight(set), tokens(set)]).toEqual([NEVER, 0, 10]);
    },
  );

  test("H2 which are not fatal the policy says; by default UNAVAILABLE", () => {
    expect([...resolveHedge({}).nonFatalCodes]).toEqual([Status.UNAVAILABLE]);
    const hedge = hedges({ nonFatalCodes: ["ABORTED"] }).call();
    expect(hedge.failed(1, aLoss({ code: Status.ABORTED }))).toBeUndefined();
    expect(
      hedges({ nonFatalCodes: ["ABORTED"] })
        .call()
        .failed(1, aLoss()),
    ).toBe("NOT_RETRYABLE");
  });

  test("H2 after headers ends the call: it is committed", () => {
    expect(
      hedges()
        .call()
        .failed(1, aLoss({ committed: true })),
    ).toBe("COMMITTED");
  });

  test("H2 the last one to fail ends the call, and those before do not", async () => {
    const set = hedges({ maxAttempts: 3 });
    const hedge = set.call();
    await sendNext(set, hedge);
    await sendNext(set, hedge);
    expect(hedge.failed(2, aLoss())).toBeUndefined();
    expect(hedge.failed(1, aLoss())).toBeUndefined();
    expect(hedge.failed(3, aLoss())).toBe("MAX_ATTEMPTS");
    expect([inFlight(set), tokens(set)]).toEqual([0, 7]);
  });

  test("H2 our own refusal forbids further ones, and ends the call only if nothing is under way", async () => {
    const set = hedges({ maxAttempts: 4 });
    const hedge = set.call();
    await sendNext(set, hedge);
    expect(hedge.failed(2, aLoss({ rejected: true }))).toBeUndefined();
    expect([hedge.dueAt, hedge.running]).toEqual([NEVER, 1]);
    expect(hedge.failed(1, aLoss())).toBe("REJECTED");
    expect(tokens(set)).toBe(9);
    expect(
      hedges()
        .call()
        .failed(1, aLoss({ rejected: true })),
    ).toBe("REJECTED");
  });
});

describe("H3 pushback", () => {
  test("H3 negative: nothing more is due, those under way go on, and one of them may win", async () => {
    const set = hedges({ maxAttempts: 4 });
    const hedge = set.call();
    await sendNext(set, hedge);
    expect(hedge.failed(2, aLoss({ pushbackMs: -1 }))).toBeUndefined();
    expect([hedge.dueAt, hedge.running]).toEqual([NEVER, 1]);
    expect(hedge.succeeded(1)).toEqual([]);
  });

  test("H3 negative, and nothing under way: the end, and a failure for the throttle", () => {
    const set = hedges();
    expect(set.call().failed(1, aLoss({ pushbackMs: -1 }))).toBe("PUSHBACK");
    expect(tokens(set)).toBe(9);
  });

  test("H3 negative, and what is under way fails too: the end", async () => {
    const set = hedges({ maxAttempts: 4 });
    const hedge = set.call();
    await sendNext(set, hedge);
    hedge.failed(1, aLoss({ pushbackMs: -1 }));
    expect(hedge.failed(2, aLoss())).toBe("PUSHBACK");
  });

  test("H3 of n ms: the next in n, later ones at n + d", async () => {
    const set = hedges({ maxAttempts: 4 });
    const hedge = set.call();
    await set.clock.advance(20);
    expect(hedge.failed(1, aLoss({ pushbackMs: 310 }))).toBeUndefined();
    expect(hedge.dueAt).toBe(330);
    expect(await sendNext(set, hedge)).toEqual({ send: true, attempt: 2, because: "pushback" });
    expect(hedge.dueAt).toBe(430);
  });

  test("H3 of n ms puts off what was due, while another is under way", async () => {
    const set = hedges({ maxAttempts: 4 });
    const hedge = set.call();
    await sendNext(set, hedge);
    hedge.failed(1, aLoss({ pushbackMs: 500 }));
    expect([hedge.dueAt, hedge.running]).toEqual([600, 1]);
  });

  test.each([
    [99, undefined],
    [100, "DEADLINE"],
    [1_000, "DEADLINE"],
  ])("H3 of %d ms, where 100 are left and nothing is under way: %s", (pushbackMs, stop) => {
    expect(hedges().call(undefined, 100).failed(1, aLoss({ pushbackMs }))).toBe(stop);
  });

  test.each([
    [5, 10],
    [-1, 9],
  ])(
    "H3 of %d with a fatal status makes it no less fatal; the server's no counts for the throttle",
    (pushbackMs, left) => {
      const set = hedges();
      expect(set.call().failed(1, aLoss({ code: Status.NOT_FOUND, pushbackMs }))).toBe("NOT_RETRYABLE");
      expect(tokens(set)).toBe(left);
    },
  );
});

describe("H4 the first attempt is always sent; extra ones need tokens and budget", () => {
  /** A set whose throttle has closed. */
  const closed = (setting = {}) => {
    const set = hedges(setting);
    while (set.share.throttling.allows()) set.share.throttling.failure();
    return set;
  };

  test("H4 without tokens a hedge is left out, and the one after it is considered when it is due", async () => {
    const set = closed({ maxAttempts: 3 });
    const hedge = set.call();
    expect(await sendNext(set, hedge)).toEqual({ send: false, stop: "THROTTLED" });
    expect([hedge.dueAt, hedge.running]).toEqual([200, 1]);
    set.share.throttling.success();
    expect(await sendNext(set, hedge)).toEqual({ send: true, attempt: 2, because: "delay" });
    expect(hedge.succeeded(1)).toEqual([2]);
  });

  test("H4 lacking them never fails the call: the first may still be answered", async () => {
    const set = closed();
    const hedge = set.call();
    await sendNext(set, hedge);
    expect([hedge.dueAt, hedge.running, hedge.succeeded(1)]).toEqual([NEVER, 1, []]);
  });

  test("H4 after a failure with nothing under way, it says what is lacking", async () => {
    const set = closed();
    const hedge = set.call();
    expect(hedge.failed(1, aLoss())).toBeUndefined();
    expect(hedge.due()).toEqual({ send: false, stop: "THROTTLED" });
    const later = set.call();
    await sendNext(set, later);
    expect(later.failed(1, aLoss())).toBe("THROTTLED");
  });

  test("H4 each hedge under way holds a permit of the target's budget, and gives it back when it is over", async () => {
    const set = hedges({ maxAttempts: 4, retryBudget: { ratio: 0.001, minInFlight: 2 } });
    const hedge = set.call();
    const decisions = [await sendNext(set, hedge), await sendNext(set, hedge), await sendNext(set, hedge)];
    expect(decisions.map(({ send }) => send)).toEqual([true, true, false]);
    expect(decisions[2]).toEqual({ send: false, stop: "BUDGET" });
    expect(inFlight(set)).toBe(2);
    hedge.failed(2, aLoss());
    expect(inFlight(set)).toBe(1);
    hedge.abandoned();
    expect(inFlight(set)).toBe(0);
  });

  test("H4 failures that are not fatal take a token each, a call that is answered gives one part of one back", async () => {
    const set = hedges({ maxAttempts: 3 });
    const hedge = set.call();
    hedge.failed(1, aLoss());
    hedge.due();
    hedge.failed(2, aLoss({ drained: true }));
    hedge.due();
    expect(tokens(set)).toBe(9);
    hedge.succeeded(3);
    expect(tokens(set)).toBe(9.1);
  });
});

describe("H4 the adaptive delay adds a twentieth to the load at most", () => {
  /** A method of which this many calls have taken a millisecond each. */
  async function known(calls: number) {
    const set = hedges({ adaptive: true });
    for (let n = 0; n < calls; n += 1) {
      const hedge = set.call();
      await set.clock.advance(1);
      hedge.succeeded(1);
    }
    return set;
  }

  test("H4 no hedge before a hundred attempts are known", async () => {
    expect((await known(99)).call().dueAt).toBe(NEVER);
    const set = await known(100);
    expect(set.call().dueAt).toBe(set.clock.now() + 1);
  });

  test("H4 of a hundred calls that are all slow five are hedged", async () => {
    const set = await known(100);
    await set.clock.advance(10_000);
    const slow = Array.from({ length: 100 }, () => set.call());
    await set.clock.advance(5);
    const decisions = slow.map((hedge) => hedge.due());
    expect(decisions.filter(({ send }) => send)).toHaveLength(5);
    expect(decisions.at(-1)).toEqual({ send: false, stop: "BUDGET" });
  });

  test("H4 an attempt in a failed one's place is no extra load: the target's budget alone bounds it", async () => {
    const set = await known(100);
    await set.clock.advance(10_000);
    const failing = set.call();
    failing.failed(1, aLoss());
    expect(failing.due()).toEqual({ send: true, attempt: 2, because: "failure" });
  });

  test("H4 where too little is known to hedge, a failure still has its next attempt", () => {
    const hedge = hedges({ adaptive: true }).call();
    hedge.failed(1, aLoss());
    expect(hedge.due()).toEqual({ send: true, attempt: 2, because: "failure" });
    expect(hedge.dueAt).toBe(NEVER);
  });
});
