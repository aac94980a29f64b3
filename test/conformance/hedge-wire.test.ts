import { constants } from "node:http2";
import type { ObserverEvent } from "bowline";
import { closeClient } from "bowline";
import { describe, expect, test, vi } from "vitest";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import type { HedgePolicy } from "../../src/contract/policy.ts";
import { Status } from "../../src/core/status.ts";
import { rejection } from "../support/orders.ts";
import { allWays, breakerOf, contractWays, viaCreateClient, type Wanted } from "../support/policy-clients.ts";
import { type RawCall, type RawServer, rawServer } from "../support/raw-http2.ts";
import { toldOf } from "../support/retrying.ts";

const { UNAVAILABLE, NOT_FOUND, CANCELLED } = Status;
const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants;

/** A delay that no test outlasts: what is sent is sent for another reason. */
const ENDLESS: HedgePolicy = { delayMs: 9_000 };
/** More than any of these tests uses up. */
const PLENTY: Wanted = { retryBudget: { ratio: 1, minInFlight: 1_000 }, retryThrottling: { maxTokens: 1_000 } };

const pushback = (...values: string[]) => ({ "grpc-retry-pushback-ms": values });
const previousAttempts = ({ headers }: RawCall) => headers["grpc-previous-rpc-attempts"];

/** The next so many calls that arrive. */
async function arriving(server: RawServer, count: number): Promise<RawCall[]> {
  const calls: RawCall[] = [];
  while (calls.length < count) calls.push(await server.next());
  return calls;
}

/** Takes one of them, which there must be. */
function nth(calls: readonly RawCall[], attempt: number): RawCall {
  return calls[attempt - 1] ?? expect.unreachable(`no attempt ${attempt}`);
}

/** Makes a call of another kind, which takes at least `ms`: whatever was to be sent by then, has been. */
async function outlast(server: RawServer, orders: OrderServiceClient, ms: number): Promise<void> {
  const call = rejection(Array.fromAsync(orders.listOrders({})));
  const attempt = await server.next();
  await new Promise((resolve) => setTimeout(resolve, ms));
  attempt.refuse(NOT_FOUND);
  await call;
}

function watched() {
  const events: ObserverEvent[] = [];
  return { events, observer: (event: ObserverEvent) => void events.push(event) };
}

/** What the observer was told of hedges, without times. */
const hedgesOf = (events: readonly ObserverEvent[]) =>
  toldOf(events.filter((event) => event.type === "policy" && event.policy === "hedge"));

describe.each(allWays)("%s", (_, connect) => {
  test("H1 attempts are sent at 0, d, 2d, each with how many there were before it", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 40, maxAttempts: 3 } });
    const begunAt = performance.now();
    const call = orders.getOrder({});
    const calls = await arriving(server, 3);
    expect(nth(calls, 2).arrivedAt - begunAt).toBeGreaterThanOrEqual(40);
    expect(nth(calls, 3).arrivedAt - begunAt).toBeGreaterThanOrEqual(80);
    nth(calls, 3).answer();
    await call;
    expect(server.calls.map(previousAttempts)).toEqual([undefined, "1", "2"]);
  });

  test.each([1, 2, 3])("H1 attempt %d is answered first: the server sees the others cancelled", async (winner) => {
    const server = await rawServer();
    const { events, observer } = watched();
    const wanted = { ...PLENTY, hedge: { delayMs: 10, maxAttempts: 3 }, observer };
    const call = connect(server.port, wanted).orders.getOrder({});
    const calls = await arriving(server, 3);
    nth(calls, winner).answer();
    await call;
    const losers = [1, 2, 3].filter((attempt) => attempt !== winner);
    expect(await Promise.all(losers.map((attempt) => nth(calls, attempt).closed))).toEqual([
      NGHTTP2_CANCEL,
      NGHTTP2_CANCEL,
    ]);
    expect(hedgesOf(events).slice(2)).toEqual([
      ...losers.map((attempt) => ["hedge", "cancelled", { attempt }]),
      ["hedge", "won", { attempt: winner, attempts: 3 }],
    ]);
  });

  test("H1 an answer before the delay: one attempt", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { hedge: { delayMs: 60 } });
    const call = orders.getOrder({});
    (await server.next()).answer();
    await call;
    await outlast(server, orders, 80);
    expect(server.calls).toHaveLength(2);
  });

  test("H1 with a delay of 0 all are sent at once", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 0, maxAttempts: 4 } });
    const call = orders.getOrder({});
    const calls = await arriving(server, 4);
    nth(calls, 2).answer();
    await call;
    expect(calls.map(previousAttempts)).toEqual([undefined, "1", "2", "3"]);
  });

  test("H1 two answers at once: one of them, and no error", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 0 } });
    const call = orders.getOrder({});
    for (const attempt of await arriving(server, 2)) attempt.answer();
    expect(await call).toMatchObject({ orderId: "" });
  });

  test("H1 the loser's answer is on its way when it is cancelled: it goes nowhere", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 0 } });
    const call = orders.getOrder({});
    const [first, second] = await arriving(server, 2);
    first?.begin();
    second?.answer();
    await call;
    first?.send();
    expect(await first?.closed).toBe(NGHTTP2_CANCEL);
  });

  test.each([
    [{ retry: false }, 1],
    [{ maxAttempts: 1 }, 1],
    [{ maxAttempts: 2 }, 2],
    [{ maxAttempts: 5 }, 3],
  ])("H1 what the call says narrows what the policy says: %j", async (options, attempts) => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 0, maxAttempts: 3 } });
    const call = rejection(orders.getOrder({}, options));
    for (const attempt of await arriving(server, attempts)) attempt.refuse(UNAVAILABLE);
    expect(await call).toMatchObject({ attempts, retryStop: "MAX_ATTEMPTS" });
    expect(server.calls).toHaveLength(attempts);
  });

  test("H1 methods that are not safe to repeat, and streams, have one attempt", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 0 } });
    const calls = [orders.createOrder({}), Array.fromAsync(orders.listOrders({}))].map(rejection);
    for (const attempt of await arriving(server, 2)) attempt.refuse(UNAVAILABLE);
    expect(await Promise.all(calls)).toMatchObject([{ code: UNAVAILABLE }, { code: UNAVAILABLE }]);
    expect(server.calls).toHaveLength(2);
  });

  test("H2 a status that is not fatal sends the next at once, and another at d from then", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 60, maxAttempts: 3 } });
    const call = orders.getOrder({});
    const first = await server.next();
    const refusedAt = performance.now();
    first.refuse(UNAVAILABLE);
    await server.next();
    const third = await server.next();
    expect(third.arrivedAt - refusedAt).toBeGreaterThanOrEqual(60);
    third.answer();
    await call;
  });

  test("H2 whatever the delay, a failure is followed at once until all have failed", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { ...ENDLESS, maxAttempts: 3 } });
    const call = rejection(orders.getOrder({}));
    for (const message of ["one", "two", "three"]) {
      (await server.next()).refuse(UNAVAILABLE, { "grpc-message": message });
    }
    expect(await call).toMatchObject({
      ...{ code: UNAVAILABLE, reason: "STATUS", details: "three", attempts: 3, retryStop: "MAX_ATTEMPTS" },
      failures: ["one", "two", "three"].map((details, index) => ({ attempt: index + 1, code: UNAVAILABLE, details })),
    });
  });

  test("H2 any other status ends the call, and cancels what is under way", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 0, maxAttempts: 3 } });
    const call = rejection(orders.getOrder({}));
    const calls = await arriving(server, 3);
    nth(calls, 2).refuse(NOT_FOUND);
    expect(await call).toMatchObject({
      ...{ code: NOT_FOUND, attempts: 3, retryStop: "NOT_RETRYABLE" },
      failures: [{ code: CANCELLED }, { code: NOT_FOUND }, { code: CANCELLED }],
    });
    expect(await Promise.all([1, 3].map((attempt) => nth(calls, attempt).closed))).toEqual([
      NGHTTP2_CANCEL,
      NGHTTP2_CANCEL,
    ]);
  });

  test("H2 the codes are the policy's", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { ...ENDLESS, nonFatalCodes: ["NOT_FOUND"] } });
    const call = orders.getOrder({});
    (await server.next()).refuse(NOT_FOUND);
    (await server.next()).answer();
    await call;
  });

  test("H2 a status that came after headers is the end", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: ENDLESS });
    const call = rejection(orders.getOrder({}));
    const attempt = await server.next();
    attempt.begin();
    attempt.end(UNAVAILABLE);
    expect(await call).toMatchObject({ attempts: 1, retryStop: "COMMITTED", headersReceived: true });
  });

  test.each([["-1"], ["10", "20"]])(
    "H3 pushback %s %s: no further hedges, and the one under way wins",
    async (...values) => {
      const server = await rawServer();
      const said = values.filter((value) => value !== undefined);
      const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 20, maxAttempts: 5 } });
      const call = orders.getOrder({});
      const calls = await arriving(server, 2);
      nth(calls, 2).refuse(UNAVAILABLE, pushback(...said));
      await outlast(server, orders, 45);
      // The third is another call's. A third attempt may have been sent before the refusal came.
      const attempts = server.calls.filter(({ path }) => path.endsWith("GetOrder")).length;
      await outlast(server, orders, 45);
      expect(server.calls.filter(({ path }) => path.endsWith("GetOrder"))).toHaveLength(attempts);
      nth(calls, 1).answer();
      await call;
    },
  );

  test("H3 pushback of n: the next in n ms, whatever the delay, and another at n + d", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 40, maxAttempts: 3 } });
    const call = orders.getOrder({});
    const first = await server.next();
    const refusedAt = performance.now();
    first.refuse(UNAVAILABLE, pushback("100"));
    const second = await server.next();
    const third = await server.next();
    expect(second.arrivedAt - refusedAt).toBeGreaterThanOrEqual(100);
    expect(third.arrivedAt - refusedAt).toBeGreaterThanOrEqual(140);
    third.answer();
    await call;
    expect(await second.closed).toBe(NGHTTP2_CANCEL);
  });

  test("H4 without tokens there is one attempt, and its answer is the call's", async () => {
    const server = await rawServer();
    const { events, observer } = watched();
    const wanted = { hedge: { delayMs: 20 }, retryThrottling: { maxTokens: 2 }, observer };
    const { orders } = connect(server.port, wanted);
    const failed = rejection(orders.getOrder({}));
    (await server.next()).refuse(UNAVAILABLE);
    expect(await failed).toMatchObject({ attempts: 1, reason: "RETRY_THROTTLED", code: UNAVAILABLE });
    const call = orders.getOrder({});
    const attempt = await server.next();
    await vi.waitUntil(() => hedgesOf(events).length > 1);
    attempt.answer();
    await call;
    expect(hedgesOf(events)).toContainEqual(["hedge", "denied", { because: "THROTTLED", attempts: 1 }]);
    expect(server.calls).toHaveLength(2);
  });

  test("H4 the budget lets so many through at a time, and the first attempts of all", async () => {
    const server = await rawServer();
    const { events, observer } = watched();
    const wanted = { hedge: { delayMs: 20 }, retryBudget: { ratio: 0.000_1, minInFlight: 1 }, observer };
    const { orders } = connect(server.port, wanted);
    const calls = [orders.getOrder({}), orders.getOrder({}), orders.getOrder({})];
    const attempts = await arriving(server, 4);
    await vi.waitUntil(() => hedgesOf(events).length === 3);
    for (const attempt of attempts) attempt.answer();
    await Promise.all(calls);
    expect(server.calls.map(previousAttempts).filter((before) => before !== undefined)).toEqual(["1"]);
  });

  test("R8 a caller that leaves: all attempts are cancelled on the wire, and none is sent after that", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 30, maxAttempts: 5 } });
    const controller = new AbortController();
    const call = rejection(orders.getOrder({}, { signal: controller.signal }));
    const calls = await arriving(server, 2);
    controller.abort("gone");
    expect(await call).toBe("gone");
    expect(await Promise.all(calls.map(({ closed }) => closed))).toEqual([NGHTTP2_CANCEL, NGHTTP2_CANCEL]);
    const before = server.calls.length;
    await outlast(server, orders, 60);
    expect(server.calls).toHaveLength(before + 1);
  });

  test("R6 what the server refused unseen is sent again as the same attempt", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: ENDLESS });
    const call = orders.getOrder({});
    (await server.next()).reset(NGHTTP2_REFUSED_STREAM);
    (await server.next()).answer();
    await call;
    expect(server.calls.map(previousAttempts)).toEqual([undefined, undefined]);
  });

  test("B3 losers count as nothing for the breaker", async () => {
    const server = await rawServer();
    const client = connect(server.port, {
      ...PLENTY,
      hedge: { delayMs: 0, maxAttempts: 3 },
      breaker: { minimumCalls: 1, openMs: 60_000 },
    });
    for (let n = 0; n < 3; n += 1) {
      const call = client.orders.getOrder({});
      nth(await arriving(server, 3), 1 + n).answer();
      await call;
    }
    expect(breakerOf(client, "GetOrder")).toMatchObject({ state: "closed", calls: 3, failures: 0 });
  });

  test("B1 a breaker that opens between two attempts: the first goes on", async () => {
    const server = await rawServer();
    const { events, observer } = watched();
    const breaker = { minimumCalls: 1, openMs: 60_000 };
    const client = connect(server.port, { ...PLENTY, hedge: { delayMs: 50 }, breaker, observer });
    const call = client.orders.getOrder({});
    const attempt = await server.next();
    client.breakers().forceOpen();
    await vi.waitUntil(() => hedgesOf(events).some((told) => Array.isArray(told) && told[1] === "denied"));
    attempt.answer();
    await call;
    expect(server.calls).toHaveLength(1);
  });
});

describe.each(contractWays)("%s", (_, connect) => {
  test("R5 the deadline spans all attempts: each is told what is left, and all end with it", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { ...PLENTY, hedge: { delayMs: 50 } });
    const call = rejection(orders.getOrder({}, { timeoutMs: 250 }));
    const [first, second] = (await arriving(server, 2)).map(({ headers }) =>
      Number.parseInt(String(headers["grpc-timeout"]), 10),
    );
    expect(first).toBeLessThanOrEqual(250);
    expect(second).toBeLessThanOrEqual(200);
    expect(await call).toMatchObject({ code: Status.DEADLINE_EXCEEDED, attempts: 2 });
  });

  test("H4 the adaptive delay: none before a hundred attempts are known, then at the method's own pace", async () => {
    const server = await rawServer();
    const { events, observer } = watched();
    const { orders } = connect(server.port, { ...PLENTY, hedge: {}, observer });
    const answering = { on: true };
    const held: RawCall[] = [];
    const serve = async () => {
      for (;;) {
        const call = await server.next();
        if (answering.on) call.answer();
        else held.push(call);
      }
    };
    void serve();
    for (let n = 0; n < 99; n += 1) await orders.getOrder({});
    expect(hedgesOf(events)).toEqual([]);
    await orders.getOrder({});
    answering.on = false;
    const call = orders.getOrder({});
    await vi.waitUntil(() => held.length === 2, { timeout: 5_000 });
    held[1]?.answer();
    await call;
    expect(await held[0]?.closed).toBe(NGHTTP2_CANCEL);
    expect(held.map(previousAttempts)).toEqual([undefined, "1"]);
  });
});

test("CLIENT_CLOSED a client that is closed in the middle ends all attempts, and the call", async () => {
  const server = await rawServer();
  const { orders } = viaCreateClient(server.port, { ...PLENTY, hedge: { delayMs: 0, maxAttempts: 3 } });
  const call = rejection(orders.getOrder({}));
  await arriving(server, 3);
  closeClient(orders);
  expect(await call).toMatchObject({ reason: "CLIENT_CLOSED", attempts: 3 });
});
