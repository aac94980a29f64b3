import { constants } from "node:http2";
import type { ObserverEvent } from "bowline";
import { describe, expect, test, vi } from "vitest";
import type { OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import type { RetryPolicy } from "../../src/contract/policy.ts";
import { Status } from "../../src/core/status.ts";
import { parseGrpcTimeout } from "../support/grpc-timeout.ts";
import { rejection } from "../support/orders.ts";
import { allWays, callForms, contractWays, type MakeCall, type Wanted } from "../support/policy-clients.ts";
import { type RawCall, type RawServer, rawServer } from "../support/raw-http2.ts";
import { toldOf } from "../support/retrying.ts";

const { UNAVAILABLE } = Status;

/** A wait that no test is over before: whoever makes another attempt does not do so after a backoff. */
const ENDLESS: RetryPolicy = { initialBackoffMs: 3_600_000, maxBackoffMs: 3_600_000, jitter: "a6" };
/** No wait to speak of. */
const BRIEF: RetryPolicy = { initialBackoffMs: 0.1, maxBackoffMs: 0.1 };
/** More than any of these tests uses up. */
const PLENTY: Wanted = { retryBudget: { ratio: 1, minInFlight: 1_000 }, retryThrottling: { maxTokens: 1_000 } };

const pushback = (...values: string[]) => ({ "grpc-retry-pushback-ms": values });
const previousAttempts = ({ headers }: RawCall) => headers["grpc-previous-rpc-attempts"];

/** Answers the next calls, one after the other. */
async function each(server: RawServer, ...answers: ((call: RawCall) => void)[]): Promise<void> {
  for (const answer of answers) answer(await server.next());
}

const refuse = (call: RawCall) => call.refuse(UNAVAILABLE);
const refuseAtOnce = (call: RawCall) => call.refuse(UNAVAILABLE, pushback("0"));
const answer = (call: RawCall) => call.answer();

/** Makes a call that takes at least `ms`: whatever else was to be sent by then, has been. */
async function outlast(server: RawServer, orders: OrderServiceClient, make: MakeCall, ms: number): Promise<void> {
  const call = make(orders);
  await each(server, (attempt) => attempt.refuse(UNAVAILABLE, pushback(String(ms))), answer);
  await call;
}

/** Answers every call from now on, each as the script says when it comes. */
function answering(server: RawServer, answer: (call: RawCall) => void) {
  const script = { answer };
  const serve = async () => {
    for (;;) {
      const call = await server.next();
      script.answer(call);
    }
  };
  void serve();
  return script;
}

function watched() {
  const events: ObserverEvent[] = [];
  return { events, observer: (event: ObserverEvent) => void events.push(event) };
}

describe.each(allWays)("%s", (_, connect) => {
  describe.each(callForms)("%s", (_, make) => {
    test("R1 maxAttempts counts the first attempt; each waits its backoff", async () => {
      const server = await rawServer();
      const retry: RetryPolicy = { maxAttempts: 3, initialBackoffMs: 40, jitter: "a6" };
      const call = rejection(make(connect(server.port, { retry }).orders));
      const refusedAt: number[] = [];
      const refuseAt = (attempt: RawCall) => {
        refusedAt.push(performance.now());
        attempt.refuse(UNAVAILABLE);
      };
      await each(server, refuseAt, refuseAt, refuseAt);
      expect(await call).toMatchObject({ attempts: 3, retryStop: "MAX_ATTEMPTS", code: UNAVAILABLE });
      const waits = server.calls.slice(1).map(({ arrivedAt }, index) => arrivedAt - (refusedAt[index] ?? 0));
      expect(waits).toHaveLength(2);
      expect(waits[0]).toBeGreaterThanOrEqual(0.8 * 40);
      expect(waits[1]).toBeGreaterThanOrEqual(0.8 * 80);
    });

    test.each<[string, Wanted, number]>([
      ["above 5 is taken as 5", { retry: { ...BRIEF, maxAttempts: 9 } }, 5],
      ["the limit can be set", { retry: { ...BRIEF, maxAttempts: 9 }, maxAttemptsLimit: 2 }, 2],
    ])("R1 %s", async (_, wanted, attempts) => {
      const server = await rawServer();
      const call = rejection(make(connect(server.port, { ...PLENTY, ...wanted }).orders));
      await each(server, ...Array.from({ length: attempts }, () => refuse));
      expect(await call).toMatchObject({ attempts, retryStop: "MAX_ATTEMPTS" });
      expect(server.calls).toHaveLength(attempts);
    });

    test("R2 grpc-previous-rpc-attempts is absent, then 1, then 2", async () => {
      const server = await rawServer();
      const call = make(connect(server.port, { retry: BRIEF }).orders);
      await each(server, refuse, refuse, answer);
      await call;
      expect(server.calls.map(previousAttempts)).toEqual([undefined, "1", "2"]);
    });

    test.each<[string, (call: RawCall) => void]>([
      ["a status that came after headers", (call) => call.end(UNAVAILABLE)],
      ["a status with trailers that came after headers", (call) => call.end(UNAVAILABLE, { "x-reason": "disk" })],
      ["a pushback that came after headers", (call) => call.end(UNAVAILABLE, pushback("0"))],
      ["a reset that came after headers", (call) => call.reset(constants.NGHTTP2_INTERNAL_ERROR)],
    ])("R3 %s is the end", async (_, finish) => {
      const server = await rawServer();
      const codes = ["UNAVAILABLE", "INTERNAL"] as const;
      const call = rejection(make(connect(server.port, { retry: { ...BRIEF, codes } }).orders));
      await each(server, refuse, (attempt) => {
        attempt.begin();
        finish(attempt);
      });
      expect(await call).toMatchObject({ attempts: 2, retryStop: "COMMITTED", headersReceived: true });
      expect(server.calls).toHaveLength(2);
    });

    test("R4 a pushback of 0: at once, whatever the backoff", async () => {
      const server = await rawServer();
      const call = make(connect(server.port, { retry: ENDLESS }).orders);
      await each(server, refuseAtOnce, answer);
      await call;
    });

    test("R4 a pushback of 50: no earlier than that, whatever the backoff", async () => {
      const server = await rawServer();
      const call = make(connect(server.port, { retry: ENDLESS }).orders);
      const first = await server.next();
      const refusedAt = performance.now();
      first.refuse(UNAVAILABLE, pushback("50"));
      const second = await server.next();
      second.answer();
      await call;
      expect(second.arrivedAt - refusedAt).toBeGreaterThanOrEqual(50);
    });

    test("R4 a google.rpc.RetryInfo is a pushback too", async () => {
      const server = await rawServer();
      const call = make(connect(server.port, { retry: ENDLESS }).orders);
      const first = await server.next();
      const refusedAt = performance.now();
      first.refuse(UNAVAILABLE, { "grpc-status-details-bin": retryInfo(20) });
      const second = await server.next();
      second.answer();
      await call;
      expect(second.arrivedAt - refusedAt).toBeGreaterThanOrEqual(20);
    });

    test.each([["-1"], ["abc"], ["100xyz"], ["1.5"], ["10", "20"], ["10", "10"]])(
      "R4 %j %s is the end",
      async (...values) => {
        const server = await rawServer();
        const said = values.filter((value) => value !== undefined);
        const call = rejection(make(connect(server.port, { retry: BRIEF }).orders));
        (await server.next()).refuse(UNAVAILABLE, pushback(...said));
        expect(await call).toMatchObject({ attempts: 1, retryStop: "PUSHBACK", reason: "STATUS", code: UNAVAILABLE });
        expect(server.calls).toHaveLength(1);
      },
    );

    test.each<[string, (attempt: RawCall) => void]>([
      ["refused unseen", (attempt) => attempt.reset(constants.NGHTTP2_REFUSED_STREAM)],
      ["did not look at before it went away", (attempt) => attempt.goAway()],
    ])("R6 what the server %s is sent again as the same attempt, and costs no token", async (_, unseen) => {
      const server = await rawServer();
      // With one token less, this refusal would leave too few.
      const wanted: Wanted = { retry: { ...BRIEF, maxAttempts: 2 }, retryThrottling: { maxTokens: 3 } };
      const { orders } = connect(server.port, wanted);
      const before = make(orders);
      await each(server, answer);
      await before;
      const call = make(orders);
      await each(server, unseen, refuse, answer);
      await call;
      expect(server.calls.map(previousAttempts)).toEqual([undefined, undefined, undefined, "1"]);
    });

    test("R7 attempts per call while all fail, and after successes", async () => {
      const server = await rawServer();
      const retry: RetryPolicy = { ...ENDLESS, maxAttempts: 5 };
      const throttled = { ...PLENTY, retryThrottling: { maxTokens: 10, tokenRatio: 0.1 } };
      const { orders } = connect(server.port, { ...throttled, retry });
      const script = answering(server, refuseAtOnce);
      const denied = { code: UNAVAILABLE, reason: "RETRY_THROTTLED", origin: "local", retryStop: "THROTTLED" };
      const failing = async (attempts: number) => {
        const before = server.calls.length;
        script.answer = refuseAtOnce;
        expect(await rejection(make(orders))).toMatchObject({ attempts });
        expect(server.calls.length - before).toBe(attempts);
      };
      const succeed = async (times: number) => {
        script.answer = answer;
        for (let n = 0; n < times; n += 1) await make(orders);
      };
      for (const attempts of [5, 1, 1, 1]) await failing(attempts);
      expect(await rejection(make(orders))).toMatchObject({ ...denied, attempts: 1, failures: [{ reason: "STATUS" }] });
      await succeed(59);
      await failing(2);
      await succeed(40);
      await failing(4);
      for (const attempts of [1, 1, 1]) await failing(attempts);
    });

    test("R8 a caller that leaves during the wait: no attempt after that", async () => {
      const server = await rawServer();
      const { events, observer } = watched();
      const { orders } = connect(server.port, { retry: ENDLESS, observer });
      const controller = new AbortController();
      const call = rejection(make(orders, { signal: controller.signal }));
      (await server.next()).refuse(UNAVAILABLE, pushback("50"));
      await vi.waitUntil(() => events.some((event) => event.type === "policy" && event.action === "scheduled"));
      controller.abort("gone");
      expect(await call).toBe("gone");
      await outlast(server, orders, make, 60);
      expect(server.calls.map(previousAttempts)).toEqual([undefined, undefined, "1"]);
    });

    test("R8 a caller that leaves during an attempt: it is cancelled on the wire, and is the last", async () => {
      const server = await rawServer();
      const { orders } = connect(server.port, { retry: { ...BRIEF, codes: ["UNAVAILABLE", "CANCELLED"] } });
      const controller = new AbortController();
      const call = rejection(make(orders, { signal: controller.signal }));
      (await server.next()).refuse(UNAVAILABLE);
      const second = await server.next();
      controller.abort("gone");
      expect(await call).toBe("gone");
      expect(await second.closed).toBe(constants.NGHTTP2_CANCEL);
      await outlast(server, orders, make, 20);
      expect(server.calls).toHaveLength(4);
    });

    test.each<[string, RetryPolicy, number, number]>([
      ["one that the policy has is tried again", { codes: ["ABORTED"] }, Status.ABORTED, 2],
      ["as a name in any case", { codes: ["aborted" as never] }, Status.ABORTED, 2],
      ["one that it has not, is not", { codes: ["ABORTED"] }, UNAVAILABLE, 1],
      ["UNAVAILABLE by default", {}, UNAVAILABLE, 2],
      ["and nothing else", {}, Status.DEADLINE_EXCEEDED, 1],
    ])("R9 status codes: %s", async (_, policy, code, attempts) => {
      const server = await rawServer();
      const call = rejection(make(connect(server.port, { retry: { ...BRIEF, maxAttempts: 2, ...policy } }).orders));
      await each(server, ...Array.from({ length: attempts }, () => (attempt: RawCall) => attempt.refuse(code)));
      expect(await call).toMatchObject({ code, attempts });
      expect(server.calls).toHaveLength(attempts);
    });

    test.each([
      [{ retry: false }, 1],
      [{ maxAttempts: 1 }, 1],
      [{ maxAttempts: 2 }, 2],
      [{ maxAttempts: 5 }, 3],
    ])("R9 what the call says narrows what the policy says: %j", async (options, attempts) => {
      const server = await rawServer();
      const call = rejection(make(connect(server.port, { retry: BRIEF }).orders, options));
      await each(server, ...Array.from({ length: attempts }, () => refuse));
      expect(await call).toMatchObject({ attempts, retryStop: "MAX_ATTEMPTS" });
      expect(server.calls).toHaveLength(attempts);
    });

    test("R10 an attempt that ran into its own time is cancelled on the wire, and tried again", async () => {
      const server = await rawServer();
      const retry: RetryPolicy = { ...BRIEF, attemptTimeoutMs: 60, codes: ["ABORTED"] };
      const { events, observer } = watched();
      const call = make(connect(server.port, { retry, observer }).orders);
      const first = await server.next();
      expect(await first.closed).toBe(constants.NGHTTP2_CANCEL);
      (await server.next()).answer();
      await call;
      expect(server.calls.map(previousAttempts)).toEqual([undefined, "1"]);
      expect(toldOf(events)).toContainEqual([
        "retry",
        "scheduled",
        { attempt: 2, because: "backoff", status: "DEADLINE_EXCEEDED", delayMs: expect.any(Number) },
      ]);
    });

    test("R10 a breaker that opens between two attempts is the end", async () => {
      const server = await rawServer();
      const breaker = { minimumCalls: 1, openMs: 60_000 };
      const call = rejection(make(connect(server.port, { retry: BRIEF, breaker }).orders));
      (await server.next()).refuse(UNAVAILABLE, { "grpc-message": "the%20disk%20is%20full" });
      expect(await call).toMatchObject({
        ...{ code: UNAVAILABLE, reason: "BREAKER_OPEN", origin: "local", details: "the disk is full" },
        ...{ attempts: 1, retryStop: "REJECTED", failures: [{ attempt: 1, reason: "STATUS" }] },
        retryAfterMs: expect.any(Number),
      });
      expect(server.calls).toHaveLength(1);
    });

    test("R11 the budget lets so many through at a time, and takes none of them from a stream that is open", async () => {
      const server = await rawServer();
      const { orders } = connect(server.port, { retry: ENDLESS, retryBudget: { ratio: 0.000_1, minInFlight: 1 } });
      const first = make(orders);
      await each(server, refuseAtOnce);
      const second = await server.next();
      const denied = rejection(make(orders));
      await each(server, refuseAtOnce);
      expect(await denied).toMatchObject({
        ...{ code: UNAVAILABLE, reason: "RETRY_BUDGET_EXHAUSTED", origin: "local", attempts: 1, retryStop: "BUDGET" },
        failures: [{ attempt: 1, reason: "STATUS" }],
      });
      second.answer();
      await first;
      const third = make(orders);
      await each(server, refuseAtOnce, answer);
      await third;
      expect(server.calls.map(previousAttempts)).toEqual([undefined, "1", undefined, undefined, "1"]);
    });
  });

  test("R3 a message commits a stream, though its error may be retried", async () => {
    const server = await rawServer();
    const stream = connect(server.port, { retry: BRIEF }).orders.listOrders({});
    const reader = stream[Symbol.asyncIterator]();
    const first = reader.next();
    await each(server, refuse);
    const second = await server.next();
    second.begin();
    second.send();
    expect(await first).toMatchObject({ done: false });
    const next = rejection(reader.next());
    second.end(UNAVAILABLE);
    expect(await next).toMatchObject({
      attempts: 2,
      retryStop: "COMMITTED",
      failures: [{ attempt: 1 }, { attempt: 2 }],
    });
    expect(server.calls).toHaveLength(2);
  });

  test("R8 a reader that leaves ends the attempt on the wire, and there is no further one", async () => {
    const server = await rawServer();
    const { orders } = connect(server.port, { retry: BRIEF });
    const [[, unary] = expect.unreachable()] = callForms;
    const read = async () => {
      for await (const _ of orders.listOrders({})) break;
    };
    const reading = read();
    await each(server, refuse);
    const second = await server.next();
    second.begin();
    second.send();
    await reading;
    expect(await second.closed).toBe(constants.NGHTTP2_CANCEL);
    await outlast(server, orders, unary, 20);
    expect(server.calls).toHaveLength(4);
  });

  test("R10 the attempt's time is told to the server of a unary call", async () => {
    const server = await rawServer();
    const retry: RetryPolicy = { ...ENDLESS, attemptTimeoutMs: 5_000 };
    const call = connect(server.port, { retry }).orders.getOrder({});
    await each(server, refuseAtOnce, answer);
    await call;
    const timeouts = server.calls.map(timeoutOf);
    for (const timeout of timeouts) {
      expect(timeout).toBeLessThanOrEqual(5_000);
      expect(timeout).toBeGreaterThan(1_000);
    }
  });
});

describe.each(contractWays)("%s", (_, connect) => {
  describe.each(callForms)("%s", (_, make) => {
    test("R2 the observer is told of each attempt by its number, and of one call", async () => {
      const server = await rawServer();
      const { events, observer } = watched();
      const call = make(connect(server.port, { retry: BRIEF, observer }).orders);
      await each(server, refuse, answer);
      await call;
      const told = events.map((event) => ("attempt" in event ? `${event.type} ${event.attempt}` : event.type));
      const first = ["attempt.started 1", "attempt.ended 1"];
      const second = ["attempt.started 2", "attempt.ended 2"];
      expect(told).toEqual(["call.started", ...first, "policy", ...second, "call.ended"]);
      expect(events.at(-1)).toMatchObject({ status: "OK" });
    });

    test("R5 the deadline spans all attempts: what is told to the server shrinks by what has passed", async () => {
      const server = await rawServer();
      const call = make(connect(server.port, { retry: ENDLESS }).orders);
      (await server.next()).refuse(UNAVAILABLE, pushback("80"));
      (await server.next()).answer();
      await call;
      const [first = 0, second = 0] = server.calls.map(timeoutOf);
      expect(first).toBeLessThanOrEqual(10_000);
      expect(second).toBeGreaterThan(0);
      // Both are rounded up.
      expect(first - second).toBeGreaterThanOrEqual(79);
    });

    test.each<[string, RetryPolicy, (call: RawCall) => void]>([
      ["a backoff", ENDLESS, refuse],
      ["a pushback", BRIEF, (call) => call.refuse(UNAVAILABLE, pushback("10000"))],
    ])("R5 %s that does not fit into what is left is not waited for", async (_, retry, refusal) => {
      const server = await rawServer();
      const call = rejection(make(connect(server.port, { retry }).orders));
      await each(server, refusal);
      expect(await call).toMatchObject({
        ...{ code: UNAVAILABLE, reason: "DEADLINE_BEFORE_RETRY", origin: "local" },
        ...{ attempts: 1, retryStop: "DEADLINE" },
      });
      expect(server.calls).toHaveLength(1);
    });

    test("R8 after the deadline there is no further attempt", async () => {
      const server = await rawServer();
      const retry: RetryPolicy = { ...BRIEF, codes: ["UNAVAILABLE", "DEADLINE_EXCEEDED"] };
      const { orders } = connect(server.port, { retry });
      const call = rejection(make(orders, { timeoutMs: 150 }));
      (await server.next()).refuse(UNAVAILABLE);
      const second = await server.next();
      expect(await call).toMatchObject({ reason: "DEADLINE_EXCEEDED", attempts: 2, retryStop: "DEADLINE" });
      expect(await second.closed).toBe(constants.NGHTTP2_CANCEL);
      await outlast(server, orders, make, 20);
      expect(server.calls).toHaveLength(4);
    });
  });
});

function timeoutOf(call: RawCall): number {
  return parseGrpcTimeout(String(call.headers["grpc-timeout"])) ?? expect.unreachable("a grpc-timeout");
}

/** A google.rpc.Status with a google.rpc.RetryInfo of so many milliseconds, below 128 · 10^6 ns, as a header has it. */
function retryInfo(ms: number): string {
  const lengthDelimited = (number: number, bytes: Uint8Array) =>
    Buffer.concat([Buffer.from([(number << 3) | 2, bytes.byteLength]), bytes]);
  const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
  const nanos = Buffer.from([2 << 3, ...varint(ms * 1_000_000)]);
  const type = Buffer.from("type.googleapis.com/google.rpc.RetryInfo");
  const any = Buffer.concat([lengthDelimited(1, type), lengthDelimited(2, lengthDelimited(1, nanos))]);
  return lengthDelimited(3, any).toString("base64");
}
