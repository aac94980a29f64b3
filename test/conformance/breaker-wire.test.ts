import { constants } from "node:http2";
import type { ObserverEvent } from "bowline";
import { describe, expect, test, vi } from "vitest";
import type { BreakerPolicy } from "../../src/contract/policy.ts";
import { systemClock } from "../../src/core/clock.ts";
import { Status } from "../../src/core/status.ts";
import type { BreakerSnapshot } from "../../src/policy/breaker.ts";
import { rejection } from "../support/orders.ts";
import { allWays, breakerOf, callForms, type MakeCall } from "../support/policy-clients.ts";
import { type RawCall, rawServer } from "../support/raw-http2.ts";
import { toldOf } from "../support/retrying.ts";

const { UNAVAILABLE, NOT_FOUND } = Status;

type Connect = (typeof allWays)[number][1];

/** A client with a breaker, of a server that a test answers. */
async function connected(connect: Connect, breaker: BreakerPolicy, make: MakeCall, method: string) {
  const server = await rawServer();
  const events: ObserverEvent[] = [];
  const client = connect(server.port, { breaker, observer: (event) => void events.push(event) });
  /** Makes a call that the server answers so; gives its message or its error. */
  const through = async (answer: (call: RawCall) => void) => {
    const outcome = make(client.orders).catch((error: unknown) => error);
    answer(await server.next());
    return await outcome;
  };
  const breakerEvents = () => toldOf(events.filter(({ type }) => type === "policy"));
  return { server, client, through, breakerEvents, state: () => breakerOf(client, method) };
}

const ok = (call: RawCall) => call.answer();
const fail = (call: RawCall) => call.refuse(UNAVAILABLE);
const notFound = (call: RawCall) => call.refuse(NOT_FOUND);

/** Waits until a trial is due, or those under way are to be given up. */
async function untilDue({ state }: { state(): BreakerSnapshot }): Promise<void> {
  await vi.waitUntil(() => state().retryAfterMs === 0);
}

/** Waits so long, besides the time in which this process stands still: that makes no answer slow. */
async function hold(ms: number): Promise<void> {
  const stalledMs = () => systemClock.stalledMs?.() ?? 0;
  const [since, stalledBefore] = [performance.now(), stalledMs()];
  await vi.waitUntil(() => performance.now() - since - (stalledMs() - stalledBefore) > ms, { interval: 5 });
}

/** Opens at the second failure of two; never closes by itself while a test runs. */
const LONG: BreakerPolicy = { minimumCalls: 2, openMs: 3_600_000, maxOpenMs: 3_600_000 };
/** The same, but its first trial is due at once. */
const SHORT: BreakerPolicy = { minimumCalls: 2, openMs: 20, maxOpenMs: 3_600_000, trials: 1 };

describe.each(allWays)("%s", (_, connect) => {
  describe.each(callForms)("%s", (_, make, method) => {
    const open = (breaker: BreakerPolicy) => connected(connect, breaker, make, method);

    test("B1 it opens when ratio and minimum are reached, and not below; then the server sees no stream at all", async () => {
      const { server, client, through, state, breakerEvents } = await open({ ...LONG, minimumCalls: 4 });
      for (const answer of [fail, fail, notFound]) await through(answer);
      expect(state()).toMatchObject({ state: "closed", calls: 3, failures: 2 });
      await through(ok);
      expect(state()).toMatchObject({ state: "open", calls: 4, failures: 2, failureRatio: 0.5 });
      for (const n of [1, 2, 3]) {
        expect(await rejection(make(client.orders))).toMatchObject({
          ...{ code: UNAVAILABLE, reason: "BREAKER_OPEN", origin: "local", attempts: 0 },
          ...{ retryAfterMs: expect.any(Number), details: expect.stringMatching(/the next trial is due in \d+ ms$/) },
        });
        expect(state().rejected).toBe(n);
      }
      expect(server.calls).toHaveLength(4);
      expect(breakerEvents()).toMatchObject([
        ["breaker", "opened", { from: "closed", calls: 4, failures: 2 }],
        ["breaker", "rejected", { state: "open" }],
        ["breaker", "rejected", { state: "open" }],
        ["breaker", "rejected", { state: "open" }],
      ]);
    });

    test("B1 below the ratio it stays closed", async () => {
      const { through, state } = await open({ ...LONG, minimumCalls: 4, failureRatio: 0.75 });
      for (const answer of [fail, fail, ok, ok]) await through(answer);
      expect(state()).toMatchObject({ state: "closed", calls: 4, failures: 2 });
    });

    test("B1 each method has a breaker of its own", async () => {
      const { server, client, through, state } = await open(LONG);
      await through(fail);
      await through(fail);
      expect(state().state).toBe("open");
      const [, other] = callForms.find(([, , name]) => name !== method) ?? expect.unreachable();
      const call = other(client.orders);
      (await server.next()).answer();
      await call;
    });

    test("B2 the window forgets by the clock", async () => {
      const { through, state } = await open({ ...LONG, windowMs: 200 });
      await through(fail);
      await vi.waitUntil(() => state().calls === 0);
      await through(fail);
      expect(state()).toMatchObject({ state: "closed", calls: 1, failures: 1 });
    });

    test("B3 a caller that leaves counts as nothing", async () => {
      const { server, client, state } = await open(LONG);
      const controller = new AbortController();
      const call = rejection(make(client.orders, { signal: controller.signal }));
      const attempt = await server.next();
      controller.abort("gone");
      expect(await call).toBe("gone");
      expect(await attempt.closed).toBe(constants.NGHTTP2_CANCEL);
      expect(state()).toMatchObject({ state: "closed", calls: 0 });
    });

    test("B3 a trial whose caller leaves gives its place to the next", async () => {
      const opened = await open(SHORT);
      const { server, client, through, state } = opened;
      await through(fail);
      await through(fail);
      await untilDue(opened);
      const controller = new AbortController();
      const trial = rejection(make(client.orders, { signal: controller.signal }));
      await server.next();
      expect(await rejection(make(client.orders))).toMatchObject({ reason: "BREAKER_OPEN" });
      controller.abort("gone");
      expect(await trial).toBe("gone");
      expect(state()).toMatchObject({ state: "half-open", trials: 0, calls: 0 });
      await through(ok);
      expect(state().state).toBe("closed");
      expect(server.calls).toHaveLength(4);
    });

    test("B4 half-open it lets so many trials through at a time, and closes when they succeed", async () => {
      const opened = await open({ ...SHORT, trials: 2 });
      const { server, client, through, state, breakerEvents } = opened;
      await through(fail);
      await through(fail);
      await untilDue(opened);
      const trials = [make(client.orders), make(client.orders)];
      const attempts = [await server.next(), await server.next()];
      const rejected = await rejection(make(client.orders));
      expect(rejected).toMatchObject({
        ...{ reason: "BREAKER_OPEN", attempts: 0, retryAfterMs: expect.any(Number) },
        details: "the circuit breaker is half-open: no attempt was sent; its trials are under way",
      });
      expect([state().trials, server.calls.length]).toEqual([2, 4]);
      for (const attempt of attempts) attempt.answer();
      await Promise.all(trials);
      expect(state()).toMatchObject({ state: "closed", trials: 0 });
      await through(ok);
      const actions = breakerEvents().map((told) => (told as unknown[])[1]);
      expect(actions).toEqual(["opened", "half-opened", "rejected", "closed"]);
    });

    test("B4 a trial that fails opens it again", async () => {
      const opened = await open({ ...SHORT });
      const { server, client, through, state } = opened;
      await through(fail);
      await through(fail);
      await untilDue(opened);
      await through(fail);
      expect(state().state).toBe("open");
      expect(await rejection(make(client.orders))).toMatchObject({ reason: "BREAKER_OPEN" });
      expect(server.calls).toHaveLength(3);
    });

    test("B5 slow is longer than the limit, and a slow failure is both", async () => {
      const slow = { ...LONG, slowMs: 20, slowRatio: 1, failureRatio: 1 };
      const { server, client, state } = await open(slow);
      const slowly = async (answer: (call: RawCall) => void) => {
        const outcome = make(client.orders).catch((error: unknown) => error);
        const call = await server.next();
        await hold(25);
        answer(call);
        await outcome;
      };
      await slowly(fail);
      expect(state()).toMatchObject({ state: "closed", calls: 1, failures: 1, slow: 1 });
      await slowly(ok);
      expect(state()).toMatchObject({ state: "open", calls: 2, failures: 1, slow: 2 });
    });

    test("B6 an answer to a call from before it opened changes nothing", async () => {
      const opened = await open(SHORT);
      const { server, client, through, state } = opened;
      const late = make(client.orders);
      const lateAttempt = await server.next();
      await through(fail);
      await through(fail);
      await untilDue(opened);
      const trial = rejection(make(client.orders));
      const trialAttempt = await server.next();
      lateAttempt.answer();
      await late;
      expect(state()).toMatchObject({ state: "half-open", trials: 1, calls: 0 });
      trialAttempt.refuse(UNAVAILABLE);
      await trial;
      expect(state().state).toBe("open");
    });

    test("B1 a reset counts, and a call that the breaker rejects does not", async () => {
      const { server, client, state } = await open(LONG);
      const attempt = async () => {
        const call = rejection(make(client.orders));
        (await server.next()).reset(constants.NGHTTP2_INTERNAL_ERROR);
        return call;
      };
      expect(await attempt()).toMatchObject({ code: Status.INTERNAL });
      await attempt();
      expect(state()).toMatchObject({ state: "open", calls: 2, failures: 2 });
      await rejection(make(client.orders));
      expect(state()).toMatchObject({ calls: 2, failures: 2, rejected: 1 });
    });

    test("forced open nothing is sent until it is reset", async () => {
      const { server, client, through } = await open(LONG);
      client.breakers().forceOpen();
      expect(await rejection(make(client.orders))).toMatchObject({
        ...{ reason: "BREAKER_OPEN", attempts: 0 },
        details: "the circuit breaker is forced-open: no attempt was sent; it stays so until it is reset",
      });
      expect(server.calls).toHaveLength(0);
      client.breakers().reset();
      await through(ok);
      expect(server.calls).toHaveLength(1);
    });
  });

  describe("streams", () => {
    const [, [, make, method] = expect.unreachable()] = callForms;
    const open = (breaker: BreakerPolicy) => connected(connect, breaker, make, method);

    test("B7 the first message settles it: what breaks then is no failure", async () => {
      const { server, client, state } = await open(LONG);
      const reader = client.orders.listOrders({})[Symbol.asyncIterator]();
      const first = reader.next();
      const call = await server.next();
      call.begin();
      call.send();
      await first;
      expect(state()).toMatchObject({ calls: 1, failures: 0 });
      const broken = rejection(reader.next());
      call.end(UNAVAILABLE);
      expect(await broken).toMatchObject({ code: UNAVAILABLE });
      expect(state()).toMatchObject({ calls: 1, failures: 0 });
    });

    test("B7 headers do not: an error before the first message is a failure", async () => {
      const { through, state } = await open(LONG);
      await through((call) => {
        call.begin();
        call.end(UNAVAILABLE);
      });
      expect(state()).toMatchObject({ calls: 1, failures: 1 });
    });

    test("B7 an end without messages is a success", async () => {
      const { through, state } = await open(LONG);
      await through((call) => call.refuse(Status.OK));
      expect(state()).toMatchObject({ calls: 1, failures: 0 });
    });

    test("B7 a reader that leaves before the first message counts as nothing, and after it as a success", async () => {
      const { server, client, state } = await open(LONG);
      const controller = new AbortController();
      const quiet = rejection(make(client.orders, { signal: controller.signal }));
      const attempt = await server.next();
      attempt.begin();
      controller.abort("gone");
      await quiet;
      expect(await attempt.closed).toBe(constants.NGHTTP2_CANCEL);
      expect(state().calls).toBe(0);
      const read = async () => {
        for await (const _ of client.orders.listOrders({})) break;
      };
      const reading = read();
      const lively = await server.next();
      lively.begin();
      lively.send();
      await reading;
      expect(await lively.closed).toBe(constants.NGHTTP2_CANCEL);
      expect(state()).toMatchObject({ calls: 1, failures: 0 });
    });

    test("B7 slow is the time to the first message", async () => {
      const { server, client, state } = await open({ ...LONG, slowMs: 20 });
      const reader = client.orders.listOrders({})[Symbol.asyncIterator]();
      const first = reader.next();
      const call = await server.next();
      call.begin();
      await hold(25);
      call.send();
      await first;
      expect(state()).toMatchObject({ calls: 1, failures: 0, slow: 1 });
      await reader.return();
    });

    test("B7 a stream of which nothing is heard gives its place as a trial back in time, and counts for nothing", async () => {
      const opened = await open({ ...SHORT, trialTimeoutMs: 40 });
      const { server, client, through, state } = opened;
      await through(fail);
      await through(fail);
      await untilDue(opened);
      const quiet = make(client.orders);
      const attempt = await server.next();
      await untilDue(opened);
      expect(state()).toMatchObject({ state: "half-open", trials: 1, calls: 0 });
      await through(ok);
      expect(state().state).toBe("closed");
      attempt.begin();
      attempt.send();
      attempt.end(0);
      await quiet;
      expect(state()).toMatchObject({ state: "closed", calls: 0, failures: 0 });
    });
  });

  test("B7 a quiet stream as a trial closes it with its headers", async () => {
    const [, [, make, method] = expect.unreachable()] = callForms;
    const opened = await connected(connect, SHORT, make, method);
    const { server, client, through, state } = opened;
    await through(fail);
    await through(fail);
    await untilDue(opened);
    const quiet = make(client.orders);
    const attempt = await server.next();
    attempt.begin();
    await vi.waitFor(() => expect(state().state).toBe("closed"));
    attempt.end(0);
    await quiet;
  });

  test("B4 a unary trial that hangs is given up as a failure, and cannot wedge it", async () => {
    const [[, make, method] = expect.unreachable()] = callForms;
    const opened = await connected(connect, { ...SHORT, trialTimeoutMs: 40 }, make, method);
    const { server, client, through, state } = opened;
    await through(fail);
    await through(fail);
    await untilDue(opened);
    const hanging = make(client.orders);
    const attempt = await server.next();
    await untilDue(opened);
    expect(await rejection(make(client.orders))).toMatchObject({ reason: "BREAKER_OPEN" });
    expect(state().state).toBe("open");
    attempt.answer();
    await hanging;
    expect(state().state).toBe("open");
    await untilDue(opened);
    await through(ok);
    expect(state().state).toBe("closed");
  });
});
