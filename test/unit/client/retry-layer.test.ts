import { ClientError } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { breakerLayer } from "../../../src/client/layers/breaker.ts";
import { failureCodes } from "../../../src/contract/resolve.ts";
import type { UnaryHandler } from "../../../src/core/call.ts";
import type { CallOptions } from "../../../src/core/call-options.ts";
import { RpcError } from "../../../src/core/errors.ts";
import { Status } from "../../../src/core/status.ts";
import type { FakeClock } from "../../../src/testing/index.ts";
import { breaking } from "../../support/breaking.ts";
import { afterTimers, type Drive, type Driven, forms } from "../../support/driven.ts";
import { rejection } from "../../support/orders.ts";
import { aFailure, aPushback, NOTHING_LEFT, type Retrying, retrying, toldOf } from "../../support/retrying.ts";
import { aCall, aMethod, aReply } from "../../support/scripted.ts";

/** A call through a retry layer. */
function start(drive: Drive, policy: Retrying = {}, changes: Parameters<Drive>[1] = {}) {
  const set = retrying(policy);
  return { ...set, driven: drive(set.layer, { signal: set.controller.signal, ...changes }) };
}

/** The attempts' failures, one after the other, each after the wait before it. */
async function failAll(clock: FakeClock, driven: Driven, ...errors: unknown[]): Promise<void> {
  for (const error of errors) {
    driven.fail(error);
    await clock.advance(1_000);
  }
}

const unavailable = { code: Status.UNAVAILABLE, reason: "STATUS", details: "down" };

describe.each(forms)("%s", (_form, drive) => {
  describe("attempts", () => {
    test("an answer at once is all there is: the call goes on as it came", async () => {
      const { driven, left, share } = start(drive, {}, { headers: { a: "b" }, signal: undefined });
      driven.reply("order");
      expect(await driven.outcome).toBe("order");
      expect(driven.calls).toHaveLength(1);
      expect(driven.calls[0]).toMatchObject({ attempt: 1, headers: { a: "b" } });
      expect(left()).toEqual(NOTHING_LEFT);
      expect(share.budget.snapshot()).toEqual({ calls: 1, extraAttempts: 0, inFlight: 0 });
    });

    test("R1 the second attempt is made when its wait is over, and not 1 ms before", async () => {
      const { driven, clock, share } = start(drive);
      driven.fail(aFailure());
      await clock.advance(49);
      expect(driven.calls).toHaveLength(1);
      expect(share.budget.snapshot().inFlight).toBe(1);
      await clock.advance(1);
      expect(driven.calls).toHaveLength(2);
      driven.reply("order");
      expect(await driven.outcome).toBe("order");
    });

    test("R2 each says how many there were before it, beside what other layers send", async () => {
      const { driven, clock } = start(drive, { maxAttempts: 4 }, { headers: { a: "b" } });
      await failAll(clock, driven, aFailure(), aFailure(), aFailure());
      expect(driven.calls.map(({ attempt, headers }) => [attempt, headers])).toEqual([
        [1, { a: "b" }],
        [2, { a: "b", "grpc-previous-rpc-attempts": "1" }],
        [3, { a: "b", "grpc-previous-rpc-attempts": "2" }],
        [4, { a: "b", "grpc-previous-rpc-attempts": "3" }],
      ]);
      driven.reply("order");
      expect(await driven.outcome).toBe("order");
    });

    test("are the same call but for that", async () => {
      const { driven, clock } = start(drive, {}, { id: 7, deadline: 5_000, carrier: {} });
      await failAll(clock, driven, aFailure());
      const [first, second] = driven.calls;
      expect({ ...second, attempt: 1, headers: undefined }).toEqual({ ...first, startedAt: 50 });
      expect(second?.carrier).toBe(first?.carrier);
    });

    test("R4 after a pushback the next comes exactly then, and the backoff starts anew", async () => {
      const { driven, clock } = start(drive, { maxAttempts: 5 });
      driven.fail(aFailure());
      await clock.advance(50);
      driven.fail(aPushback("300"));
      await clock.advance(299);
      expect(driven.calls).toHaveLength(2);
      await clock.advance(1);
      expect(driven.calls).toHaveLength(3);
      driven.fail(aFailure());
      await clock.advance(49);
      expect(driven.calls).toHaveLength(3);
      await clock.advance(1);
      expect(driven.calls).toHaveLength(4);
    });

    test("R4 where a pushback does not fit the deadline, the call ends at once and says when to come again", async () => {
      const { driven, left } = start(drive, {}, { deadline: 59_999 });
      driven.fail(aPushback("60000"));
      expect(await rejection(driven.outcome)).toMatchObject({
        ...{ reason: "DEADLINE_BEFORE_RETRY", retryStop: "DEADLINE", retryAfterMs: 60_000 },
      });
      expect([driven.calls.length, left()]).toEqual([1, NOTHING_LEFT]);
    });

    test("R4 a backoff of the client's own that does not fit is no word of the server's", async () => {
      const { driven } = start(drive, {}, { deadline: 50 });
      driven.fail(aFailure());
      const error = await rejection(driven.outcome);
      expect(error).toMatchObject({ reason: "DEADLINE_BEFORE_RETRY" });
      expect(error).not.toHaveProperty("retryAfterMs");
    });

    test("R4 a pushback of 0 waits for nothing but its turn", async () => {
      const { driven, clock } = start(drive);
      driven.fail(aPushback("0"));
      await clock.advance(0);
      expect(driven.calls).toHaveLength(2);
    });

    test("R10 one that ran into its own time is tried again whatever the codes say", async () => {
      const { driven, clock } = start(drive, { codes: ["ABORTED"] });
      await failAll(clock, driven, aFailure({ reason: "ATTEMPT_TIMEOUT", code: Status.DEADLINE_EXCEEDED }));
      expect(driven.calls).toHaveLength(2);
    });

    test("a ClientError of nice-grpc's is tried again like any status", async () => {
      const { driven, clock } = start(drive, { maxAttempts: 2 });
      const failure = new ClientError("/p", Status.UNAVAILABLE, "down");
      await failAll(clock, driven, failure, failure);
      expect(await rejection(driven.outcome)).toMatchObject({ ...unavailable, attempts: 2, retryStop: "MAX_ATTEMPTS" });
    });
  });

  describe("the call's error", () => {
    test("says how many attempts were made, what each ended with, and why there is no other", async () => {
      const { driven, clock, left } = start(drive);
      const timeout = aFailure({ reason: "ATTEMPT_TIMEOUT", code: Status.DEADLINE_EXCEEDED, details: "slow" });
      const reset = aFailure({ reason: "TRANSPORT", details: "broke" });
      await failAll(clock, driven, aFailure(), timeout, reset);
      const error = await rejection(driven.outcome);
      expect(error).toBeInstanceOf(RpcError);
      expect(error).toMatchObject({
        ...{ code: Status.UNAVAILABLE, reason: "TRANSPORT", origin: "local", details: "broke" },
        ...{ attempts: 3, retryStop: "MAX_ATTEMPTS" },
        message: "/test.Service/unary UNAVAILABLE: broke (after 3 attempts)",
        failures: [
          { attempt: 1, ...unavailable },
          { attempt: 2, code: Status.DEADLINE_EXCEEDED, reason: "ATTEMPT_TIMEOUT", details: "slow" },
          { attempt: 3, code: Status.UNAVAILABLE, reason: "TRANSPORT", details: "broke" },
        ],
      });
      expect(left()).toEqual(NOTHING_LEFT);
    });

    const local = { origin: "local" };
    const wire = { origin: "wire", reason: "STATUS" };
    const stops: [string, Retrying, CallOptions, RpcError, object][] = [
      [
        "the status is not in the policy",
        {},
        {},
        aFailure({ code: 5 }),
        { ...wire, retryStop: "NOT_RETRYABLE", code: 5 },
      ],
      ["the call allows no other", {}, { retry: false }, aFailure(), { ...wire, retryStop: "MAX_ATTEMPTS" }],
      ["the call allows one", {}, { maxAttempts: 1 }, aFailure(), { ...wire, retryStop: "MAX_ATTEMPTS" }],
      ["R3 headers came", {}, {}, aFailure({ headersReceived: true }), { ...wire, retryStop: "COMMITTED" }],
      ["R4 the server said no", {}, {}, aPushback("-1"), { ...wire, retryStop: "PUSHBACK" }],
      ["R4 the server's word cannot be read", {}, {}, aPushback("soon"), { ...wire, retryStop: "PUSHBACK" }],
      ["R4 the server said two things", {}, {}, aPushback("1", "2"), { ...wire, retryStop: "PUSHBACK" }],
      [
        "R7 the throttle is closed",
        { retryThrottling: { maxTokens: 2 } },
        {},
        aFailure(),
        { ...local, retryStop: "THROTTLED", reason: "RETRY_THROTTLED" },
      ],
      [
        "R10 the breaker is open",
        {},
        {},
        aFailure({ reason: "BREAKER_OPEN", attempts: 0, retryAfterMs: 700 }),
        { retryStop: "REJECTED", reason: "BREAKER_OPEN", attempts: 0, failures: [], retryAfterMs: 700 },
      ],
      [
        "R10 the request cannot be sent",
        {},
        {},
        aFailure({ reason: "REQUEST_NOT_ENCODABLE", code: Status.INTERNAL, attempts: 0 }),
        { retryStop: "REJECTED", reason: "REQUEST_NOT_ENCODABLE", code: Status.INTERNAL, attempts: 0, failures: [] },
      ],
    ];

    test.each(stops)("says that %s", async (_, policy, options, failure, expected) => {
      const { driven, clock, left } = start(drive, policy, { options });
      await failAll(clock, driven, failure);
      const error = await rejection(driven.outcome);
      const once = { attempts: 1, failures: [{ attempt: 1, details: "down" }] };
      expect(error).toMatchObject({ code: Status.UNAVAILABLE, details: "down", ...once, ...expected });
      expect(String(error)).not.toContain("attempts)");
      expect([driven.calls.length, left()]).toEqual([1, NOTHING_LEFT]);
    });

    test("R11 says that the budget is spent, once as many as it lets through are under way", async () => {
      const { layer, clock, left } = retrying({ retryBudget: { minInFlight: 1 } });
      const [waiting, denied] = [drive(layer), drive(layer)];
      waiting.fail(aFailure());
      await clock.advance(0);
      denied.fail(aFailure());
      expect(await rejection(denied.outcome)).toMatchObject({
        ...{ code: Status.UNAVAILABLE, reason: "RETRY_BUDGET_EXHAUSTED", origin: "local", retryStop: "BUDGET" },
        ...{ attempts: 1, failures: [{ attempt: 1, ...unavailable }] },
      });
      expect(left()).toMatchObject({ permits: 1 });
      await clock.advance(50);
      waiting.reply("order");
      await waiting.outcome;
      expect(left()).toEqual(NOTHING_LEFT);
    });

    test("R5 says that the wait does not fit into what is left, which is not waited for", async () => {
      const { driven, clock, left } = start(drive, {}, { deadline: 50 });
      driven.fail(aFailure());
      await clock.advance(0);
      expect(await rejection(driven.outcome)).toMatchObject({
        ...{ ...unavailable, reason: "DEADLINE_BEFORE_RETRY", origin: "local", retryStop: "DEADLINE" },
        attempts: 1,
      });
      expect([clock.now(), left()]).toEqual([0, NOTHING_LEFT]);
    });

    test("R5 with 1 ms more there is another attempt", async () => {
      const { driven, clock } = start(drive, {}, { deadline: 51 });
      driven.fail(aFailure());
      await clock.advance(50);
      expect(driven.calls).toHaveLength(2);
    });

    test("R5 says that the deadline passed during the wait, since the timer came late", async () => {
      const late = { ms: 0 };
      const clockOf = (clock: FakeClock) => ({ ...afterTimers(clock, () => {}), now: () => clock.now() + late.ms });
      const { driven, clock, left } = start(drive, { clockOf }, { deadline: 100 });
      driven.fail(aFailure());
      await clock.advance(49);
      late.ms = 50;
      await clock.advance(1);
      expect(await rejection(driven.outcome)).toMatchObject({
        ...{ ...unavailable, reason: "DEADLINE_BEFORE_RETRY", origin: "local", retryStop: "DEADLINE" },
        ...{ attempts: 1, failures: [{ attempt: 1 }] },
      });
      expect([driven.calls.length, left()]).toEqual([1, NOTHING_LEFT]);
    });

    test("stays DEADLINE_EXCEEDED where the call's own deadline ended the attempt", async () => {
      const { driven, clock } = start(drive, { codes: ["DEADLINE_EXCEEDED"] }, { deadline: 100 });
      await clock.advance(100);
      driven.fail(aFailure({ reason: "DEADLINE_EXCEEDED", code: Status.DEADLINE_EXCEEDED, origin: "local" }));
      const said = { reason: "DEADLINE_EXCEEDED", code: Status.DEADLINE_EXCEEDED, retryStop: "DEADLINE" };
      expect(await rejection(driven.outcome)).toMatchObject(said);
    });

    test("R10 where the breaker opens between two attempts, is the last attempt's failure with that reason", async () => {
      const { driven, clock, left } = start(drive);
      const failure = aFailure({ code: Status.UNAVAILABLE, details: "the disk is full" });
      const rejected = aFailure({ reason: "BREAKER_OPEN", details: "open", attempts: 0, retryAfterMs: 4_200 });
      await failAll(clock, driven, failure, rejected);
      expect(await rejection(driven.outcome)).toMatchObject({
        ...{ code: Status.UNAVAILABLE, reason: "BREAKER_OPEN", origin: "local", details: "the disk is full" },
        ...{ attempts: 1, retryStop: "REJECTED", retryAfterMs: 4_200 },
        failures: [{ attempt: 1, code: Status.UNAVAILABLE, reason: "STATUS", details: "the disk is full" }],
      });
      expect([driven.calls.length, left()]).toEqual([2, NOTHING_LEFT]);
    });

    test("comes at once when the client is closed during a wait", async () => {
      const { driven, clock, closing, left } = start(drive);
      driven.fail(aFailure());
      await clock.advance(0);
      closing.abort();
      await clock.advance(0);
      expect(driven.calls).toHaveLength(2);
      driven.fail(aFailure({ reason: "CLIENT_CLOSED", details: "closed", attempts: 0 }));
      expect(await rejection(driven.outcome)).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 1 });
      expect(left()).toEqual(NOTHING_LEFT);
    });

    test("counts the attempt that was under way when the client was closed", async () => {
      const { driven, clock } = start(drive);
      const closed = aFailure({ reason: "CLIENT_CLOSED", details: "closed" });
      await failAll(clock, driven, aFailure(), closed);
      expect(await rejection(driven.outcome)).toMatchObject({
        ...{ reason: "CLIENT_CLOSED", origin: "local", attempts: 2, retryStop: "REJECTED" },
        failures: [
          { attempt: 1, reason: "STATUS" },
          { attempt: 2, reason: "CLIENT_CLOSED" },
        ],
      });
    });

    test("is a program's own mistake as it is, which is not tried again", async () => {
      const { driven, clock, left } = start(drive);
      const mistake = new TypeError("no such property");
      await failAll(clock, driven, aFailure(), mistake);
      expect(await rejection(driven.outcome)).toBe(mistake);
      expect([driven.calls.length, left()]).toEqual([2, NOTHING_LEFT]);
    });

    test("is CANCELLED where something other than the caller aborted", async () => {
      const { driven, clock } = start(drive);
      await failAll(clock, driven, new DOMException("stop", "AbortError"));
      const said = { code: Status.CANCELLED, reason: "CANCELLED", retryStop: "NOT_RETRYABLE", attempts: 1 };
      expect(await rejection(driven.outcome)).toMatchObject(said);
    });
  });

  describe("what a call says", () => {
    test.each<[CallOptions, number]>([
      [{}, 4],
      [{ retry: true }, 4],
      [{ retry: false }, 1],
      [{ maxAttempts: 1 }, 1],
      [{ maxAttempts: 2 }, 2],
      [{ maxAttempts: 9 }, 4],
      [{ retry: false, maxAttempts: 3 }, 1],
    ])("%j can only narrow the contract's four attempts: %i", async (options, attempts) => {
      const { driven, clock } = start(drive, { maxAttempts: 4 }, { options });
      await failAll(clock, driven, ...Array.from({ length: attempts }, () => aFailure()));
      expect(await rejection(driven.outcome)).toMatchObject({ attempts, retryStop: "MAX_ATTEMPTS" });
    });
  });

  describe("R8 a caller that leaves gets its own reason, and there is no further attempt", () => {
    test("before the first", async () => {
      const { driven, left } = start(drive, {}, { signal: AbortSignal.abort("gone") });
      expect(await rejection(driven.outcome)).toBe("gone");
      expect([driven.calls, left()]).toEqual([[], NOTHING_LEFT]);
    });

    test("during the first", async () => {
      const { driven, controller, clock, left } = start(drive);
      controller.abort("gone");
      driven.abort("gone");
      expect(await rejection(driven.outcome)).toBe("gone");
      await clock.advance(1_000);
      expect([driven.calls.length, left()]).toEqual([1, NOTHING_LEFT]);
    });

    test("during a later one", async () => {
      const { driven, controller, clock, left } = start(drive);
      await failAll(clock, driven, aFailure());
      controller.abort("gone");
      driven.abort("gone");
      expect(await rejection(driven.outcome)).toBe("gone");
      expect([driven.calls.length, left()]).toEqual([2, NOTHING_LEFT]);
    });

    test("during the wait, at once", async () => {
      const { driven, controller, clock, left } = start(drive);
      driven.fail(aFailure());
      await clock.advance(49);
      expect(left()).toEqual({ timers: 1, listeners: 1, permits: 1 });
      controller.abort("gone");
      expect(await rejection(driven.outcome)).toBe("gone");
      expect(left()).toEqual(NOTHING_LEFT);
      await clock.advance(1_000);
      expect(driven.calls).toHaveLength(1);
    });

    test("in the turn in which the attempt fails", async () => {
      const { driven, controller, clock, left } = start(drive);
      driven.fail(aFailure());
      controller.abort("gone");
      expect(await rejection(driven.outcome)).toBe("gone");
      await clock.advance(1_000);
      expect([driven.calls.length, left()]).toEqual([1, NOTHING_LEFT]);
    });

    test("in the turn in which the wait is over", async () => {
      const controller = new AbortController();
      const clockOf = (clock: FakeClock) => afterTimers(clock, () => controller.abort("gone"));
      const { driven, clock, left } = start(drive, { clockOf }, { signal: controller.signal });
      driven.fail(aFailure());
      await clock.advance(50);
      expect(await rejection(driven.outcome)).toBe("gone");
      expect([driven.calls.length, left()]).toEqual([1, NOTHING_LEFT]);
    });
  });

  describe("the observer", () => {
    test("is told of each retry that is scheduled, and of the end of them", async () => {
      const { driven, clock, events } = start(drive, {}, { id: 9 });
      await failAll(clock, driven, aFailure(), aPushback("20"), aFailure());
      await driven.outcome.catch(() => {});
      expect(toldOf(events)).toEqual([
        ["retry", "scheduled", { attempt: 2, delayMs: 50, because: "backoff", status: "UNAVAILABLE" }],
        ["retry", "scheduled", { attempt: 3, delayMs: 20, because: "pushback", status: "UNAVAILABLE" }],
        ["retry", "denied", { because: "MAX_ATTEMPTS", attempts: 3, status: "UNAVAILABLE" }],
      ]);
      expect(events[0]).toMatchObject({ type: "policy", id: 9, method: `/test.Service/${_form}` });
    });

    test.each<[string, Retrying, RpcError]>([
      ["PUSHBACK", {}, aPushback("-1")],
      ["THROTTLED", { retryThrottling: { maxTokens: 2 } }, aFailure()],
      ["COMMITTED", {}, aFailure({ headersReceived: true })],
    ])("is told of a retry that is denied because of %s", async (because, policy, failure) => {
      const { driven, events } = start(drive, policy);
      driven.fail(failure);
      await driven.outcome.catch(() => {});
      expect(toldOf(events)).toEqual([["retry", "denied", { because, attempts: 1, status: "UNAVAILABLE" }]]);
    });

    test("hears nothing of an answer, nor of a status that nobody would retry", async () => {
      const answered = start(drive);
      answered.driven.reply("order");
      await answered.driven.outcome;
      const refused = start(drive);
      refused.driven.fail(aFailure({ code: Status.NOT_FOUND }));
      await refused.driven.outcome.catch(() => {});
      expect([...answered.events, ...refused.events]).toEqual([]);
    });
  });

  test("R7 the throttle loses a token for each failure, and gets a part of one back for an answer", async () => {
    const { driven, clock, share } = start(drive, { retryThrottling: { maxTokens: 10, tokenRatio: 0.5 } });
    await failAll(clock, driven, aFailure(), aFailure());
    expect(share.throttling.snapshot().tokens).toBe(8);
    driven.reply("order");
    await driven.outcome;
    expect(share.throttling.snapshot().tokens).toBe(8.5);
  });
});

test.each([false, true])(
  "calls under way at a time are each tried again as they were, with a breaker: %s",
  async (guarded) => {
    const { layer, clock } = retrying();
    const { breaker } = breaking({ minimumCalls: 10 });
    const seen: string[] = [];
    const attempt: UnaryHandler = async ({ request, attempt }) => {
      seen.push(`${request} ${attempt}`);
      await undefined;
      if (attempt === 1) throw aFailure();
      return aReply(request);
    };
    const slowMs = Number.POSITIVE_INFINITY;
    const guard = breakerLayer({ breaker, codes: failureCodes(undefined), slowMs, clock, report: undefined });
    const method = aMethod();
    const handler = layer.unary(guarded ? guard.unary(attempt, method) : attempt, method);
    const replies = Promise.all(["a", "b", "c"].map((request) => handler(aCall({ request }))));
    await clock.advance(50);
    expect((await replies).map(({ message }) => message)).toEqual(["a", "b", "c"]);
    expect(seen).toEqual(["a 1", "b 1", "c 1", "a 2", "b 2", "c 2"]);
    expect(breaker.snapshot()).toMatchObject(guarded ? { calls: 6, failures: 3 } : { calls: 0 });
  },
);
