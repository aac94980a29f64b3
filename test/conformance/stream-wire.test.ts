import { fork } from "node:child_process";
import { once } from "node:events";
import { closeClient, createClient, fail, type ObserverEvent, Status } from "bowline";
import { createServer, type Server } from "bowline/server";
import { type FaultProxy, type FaultRule, faultProxy } from "bowline/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { OrderService, type OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { freePort } from "../support/free-port.ts";
import { ordersHandlers } from "../support/handlers.ts";
import { gate, rejection } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";
import { logUpTo, type StreamClient, streamWays, upTo, type WantedStream } from "../support/resuming-orders.ts";
import { toldOf } from "../support/retrying.ts";
import { drained } from "../support/through-proxy.ts";

const LAST = 200n;

type Given = Pick<OrderServiceHandlers, "watchOrders">;

function watched() {
  const events: ObserverEvent[] = [];
  return { events, observer: (event: ObserverEvent) => void events.push(event) };
}

/** All revisions that a stream gives, and what it ends with. */
async function revisions(stream: ReturnType<StreamClient["orders"]["watchOrders"]>) {
  const { messages, error } = await drained(stream);
  return { revisions: messages.map(({ revision }) => revision), error };
}

/** Serves orders on a port, 0 for any, until the test is over. */
async function serveOn(port: number, given: Given, contract = PatientOrders) {
  const options = { drainOn: [], validation: false, authenticate: false, idempotency: false } as const;
  const server = createServer(options).add(contract, ordersHandlers(given));
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return { server, port: await server.listen(`127.0.0.1:${port}`) };
}

/** Starts a process of its own until the test is over; resolves with what it says first. */
async function started(file: string, ...args: string[]) {
  const child = fork(new URL(`../support/${file}`, import.meta.url), args, { execArgv: process.execArgv });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [said] = await once(child, "message");
  return { child, said };
}

/** One server and one proxy for all tests, each of which brings its handler and its faults: proxies take time to start. */
const world: { server?: Server; proxy?: FaultProxy; given?: Given } = {};

beforeAll(async () => {
  const watchOrders: Given["watchOrders"] = (request, context) =>
    world.given?.watchOrders(request, context) ?? expect.unreachable("a test is under way");
  world.server = createServer({ drainOn: [], validation: false, authenticate: false }).add(
    PatientOrders,
    ordersHandlers({ watchOrders }),
  );
  const port = await world.server.listen("127.0.0.1:0");
  world.proxy = await faultProxy(`127.0.0.1:${port}`, { seed: 1 }).script();
});

afterAll(async () => {
  await world.proxy?.close();
  await world.server?.drain({ timeoutMs: 1 });
});

describe.each(streamWays)("%s", (_, connect) => {
  /** The stream of orders behind the fault proxy. */
  async function through(given: Given, rules: FaultRule[], wanted: WantedStream = {}) {
    const proxy = world.proxy ?? expect.unreachable("there is a proxy");
    world.given = given;
    await proxy.script(...rules);
    const before = (await proxy.seen()).calls.length;
    const seenCalls = async () => (await proxy.seen()).calls.slice(before);
    return { proxy, seenCalls, ...connect(proxy.target, wanted) };
  }

  const cut: FaultRule = { on: "connection", first: 3, fault: "cut", afterBytes: 1_200 };

  test.each<[string, FaultRule]>([
    ["connection that is cut", cut],
    ["call that is reset", { on: "call", first: 3, fault: "reset", afterMessages: 20 }],
    ["call whose connection is cut", { on: "call", first: 3, fault: "cut", afterMessages: 20 }],
    ["call that is reset as if its client had left", { on: "call", first: 3, fault: "reset", code: "CANCEL" }],
    ["connection that says goodbye", { on: "call", first: 3, fault: "goaway", code: "ENHANCE_YOUR_CALM" }],
    ["status before the server saw the call", { on: "call", first: 3, fault: "status", code: "UNAVAILABLE" }],
  ])("S1 after a %s, it continues after the last revision that was delivered", async (_, rule) => {
    const { asked, given } = logUpTo(LAST);
    const { orders } = await through(given, [rule], { fromStart: true });
    expect(await revisions(orders.watchOrders({}))).toEqual({ revisions: upTo(LAST), error: undefined });
    expect(asked).toEqual(asked.toSorted((one, other) => Number(one - other)));
  });

  test("S1 what had come and was not yet read when it broke is asked for again", async () => {
    const { asked, given } = logUpTo(LAST);
    const { orders } = await through(given, [{ on: "call", first: 1, fault: "cut", afterMessages: 50 }], {
      fromStart: true,
    });
    const read: bigint[] = [];
    for await (const { revision } of orders.watchOrders({})) {
      read.push(revision);
      if (revision < 20n) await new Promise((wake) => setTimeout(wake, 2));
    }
    expect(read).toEqual(upTo(LAST));
    expect(asked.slice(1).every((revision) => revision > 0n && revision <= 50n)).toBe(true);
  });

  test("S1 a heartbeat that carries a revision moves the position on", async () => {
    const asked: bigint[] = [];
    const { orders } = await through(
      {
        async *watchOrders({ afterRevision }) {
          asked.push(afterRevision);
          if (afterRevision >= 90n) return yield { revision: 91n };
          yield { revision: 7n };
          yield { revision: 90n, heartbeat: true };
          yield { revision: 0n, heartbeat: true };
          fail("UNAVAILABLE", "gone");
        },
      },
      [],
      { fromStart: true, heartbeat: {} },
    );
    expect(await revisions(orders.watchOrders({}))).toEqual({ revisions: [7n, 91n], error: undefined });
    expect(asked).toEqual([0n, 90n]);
  });

  test("S2 what a server sends again is dropped", async () => {
    const { orders } = await through(
      {
        async *watchOrders({ afterRevision }) {
          const from = afterRevision > 9n ? afterRevision - 9n : 1n;
          for (let revision = from; revision <= LAST; revision += 1n) yield { revision };
        },
      },
      [cut],
      { fromStart: true },
    );
    expect(await revisions(orders.watchOrders({}))).toEqual({ revisions: upTo(LAST), error: undefined });
  });

  describe("S3 a revision that the server no longer has", () => {
    const compacted: FaultRule[] = [
      { on: "call", nth: [1], fault: "reset", afterMessages: 20 },
      { on: "call", nth: [2], fault: "status", code: "OUT_OF_RANGE", details: "compacted" },
    ];

    test("S3 is CURSOR_EXPIRED with the last one", async () => {
      const { orders } = await through(logUpTo(LAST).given, compacted, { fromStart: true });
      const { revisions: read, error } = await revisions(orders.watchOrders({}));
      expect(read).toEqual(upTo(BigInt(read.length)));
      expect(error).toMatchObject({
        ...{ code: Status.OUT_OF_RANGE, reason: "CURSOR_EXPIRED", cursor: read.at(-1) },
        details: `the server cannot continue after position ${read.at(-1)}: compacted`,
      });
    });

    test("S3 is answered by onExpired with a fresh request", async () => {
      const { asked, given } = logUpTo(LAST);
      const { orders } = await through(given, compacted, { fromStart: true });
      const onExpired = vi.fn(async (_cursor: unknown) => ({ afterRevision: 190n }));
      const { revisions: read, error } = await revisions(orders.watchOrders({}, { onExpired }));
      expect([error, read.slice(-10), asked.at(-1)]).toEqual([undefined, upTo(LAST).slice(-10), 190n]);
      expect(onExpired.mock.calls.map(([cursor]) => cursor)).toEqual([read.at(-11)]);
    });
  });

  test("S4 consecutive failures are capped, and a message begins them anew", async () => {
    const rules: FaultRule[] = [{ on: "call", fault: "status", code: "UNAVAILABLE", nth: [1, 2, 4, 5, 6, 7] }];
    const { given } = logUpTo(1n);
    const { orders, seenCalls } = await through(
      {
        async *watchOrders(request, context) {
          yield* given.watchOrders(request, context);
          fail("UNAVAILABLE", "gone");
        },
      },
      rules,
      { fromStart: true, maxFailures: 3 },
    );
    const { revisions: read, error } = await revisions(orders.watchOrders({}));
    expect(read).toEqual([1n]);
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, retryStop: "MAX_ATTEMPTS", attempts: 4 });
    expect(await seenCalls()).toHaveLength(6);
  });

  test("S4 the retry budget is waited for: many streams that break at once all come back", async () => {
    const { given } = logUpTo(LAST);
    const rule: FaultRule = { on: "call", first: 12, fault: "reset", afterMessages: 20 };
    const { orders } = await through(given, [rule], { fromStart: true, retryBudget: { minInFlight: 1, ratio: 0.01 } });
    const streams = Array.from({ length: 12 }, () => revisions(orders.watchOrders({})));
    for (const read of await Promise.all(streams)) expect(read).toEqual({ revisions: upTo(LAST), error: undefined });
  });

  test("S4 the breaker's next trial is waited for", async () => {
    const { given } = logUpTo(LAST);
    const { events, observer } = watched();
    const rules: FaultRule[] = [{ on: "call", first: 8, fault: "status", code: "UNAVAILABLE" }];
    const breaker = { minimumCalls: 2, openMs: 20, maxOpenMs: 20, trials: 1 };
    const { orders } = await through(given, rules, { fromStart: true, maxFailures: 8, breaker, observer });
    expect(await revisions(orders.watchOrders({}))).toEqual({ revisions: upTo(LAST), error: undefined });
    expect(toldOf(events)).toContainEqual([
      ...["resume", "scheduled"],
      expect.objectContaining({ because: "rejection", status: "UNAVAILABLE" }),
    ]);
  });

  test("S4 a server that is killed and started again is waited for", async () => {
    const port = await freePort();
    const first = await started("log-process.ts", String(port));
    const { orders } = connect(`127.0.0.1:${port}`, { fromStart: true });
    const read: bigint[] = [];
    for await (const { revision } of orders.watchOrders({})) {
      read.push(revision);
      if (read.length === 50) {
        first.child.kill("SIGKILL");
        await once(first.child, "exit");
        await started("log-process.ts", String(port));
      }
    }
    expect(read).toEqual(upTo(300n));
  });

  test("S4 a server that drains is left at once for another one, and that is no failure", async () => {
    const { events, observer } = watched();
    const asked: string[] = [];
    const serve = (name: string, last: bigint) =>
      serveOn(0, {
        async *watchOrders({ afterRevision }, { signal }) {
          asked.push(`${name} ${afterRevision}`);
          for (let revision = afterRevision + 1n; revision <= last; revision += 1n) yield { revision };
          if (name === "first") await new Promise((_, end) => signal.addEventListener("abort", end));
        },
      });
    const [first, second] = [await serve("first", 5n), await serve("second", LAST)];
    const target = `ipv4:127.0.0.1:${first.port},127.0.0.1:${second.port}`;
    const slow = { initialBackoffMs: 3_600_000, maxBackoffMs: 3_600_000 };
    const { orders } = connect(target, { fromStart: true, observer, ...slow });
    const read: bigint[] = [];
    for await (const { revision } of orders.watchOrders({})) {
      read.push(revision);
      if (revision === 5n) void first.server.drain({ timeoutMs: 1_000 });
    }
    expect(read).toEqual(upTo(LAST));
    expect(asked).toEqual(["first 0", "second 5"]);
    expect(toldOf(events)).toContainEqual([
      ...["resume", "scheduled"],
      expect.objectContaining({ because: "drain", delayMs: 0, failures: 0 }),
    ]);
  });

  describe("S5 a stream that is opened without a position", () => {
    test("S5 and was pinned is reopened from there, though it broke before its first message", async () => {
      const asked: bigint[] = [];
      const { orders } = await through(
        {
          async *watchOrders({ afterRevision }, context) {
            asked.push(afterRevision);
            if (asked.length > 1) return yield { revision: afterRevision + 1n };
            context.pin(41n);
            await new Promise((_, end) => context.signal.addEventListener("abort", end));
          },
        },
        [{ on: "call", first: 1, fault: "reset", afterMessages: 0 }],
      );
      expect(await revisions(orders.watchOrders({}))).toEqual({ revisions: [42n], error: undefined });
      expect(asked).toEqual([0n, 41n]);
    });

    test("S5 and broke before header and first message ends with CURSOR_UNKNOWN", async () => {
      const { orders, seenCalls } = await through(logUpTo(LAST).given, [{ on: "call", fault: "reset" }]);
      const { revisions: read, error } = await revisions(orders.watchOrders({}));
      expect([read, error]).toMatchObject([[], { reason: "CURSOR_UNKNOWN", origin: "local" }]);
      expect(await seenCalls()).toHaveLength(1);
    });

    test("S5 and got a header without a position ends with CURSOR_UNKNOWN", async () => {
      const { orders } = await through(
        {
          // biome-ignore lint/correctness/useYield: it breaks before its first message
          async *watchOrders(_request, context) {
            context.sendHeader();
            fail("UNAVAILABLE", "gone");
          },
        },
        [],
      );
      const { error } = await revisions(orders.watchOrders({}));
      expect(error).toMatchObject({
        ...{
          reason: "CURSOR_UNKNOWN",
          code: Status.UNAVAILABLE,
          details: expect.stringMatching(/in the contract: gone$/),
        },
      });
    });

    test("S5 and stood quiet when its server drained ends with CURSOR_UNKNOWN, unless it was pinned", async () => {
      const asked: bigint[] = [];
      const opened = [gate(), gate()];
      const quiet = await serveOn(
        0,
        {
          async *watchOrders({ customerId }, context) {
            if (customerId === "pinned") context.pin(41n);
            opened[asked.push(0n) - 1]?.resolve();
            await new Promise((_, end) => context.signal.addEventListener("abort", end));
          },
        },
        OrderService,
      );
      const next = await serveOn(0, {
        async *watchOrders({ afterRevision }) {
          asked.push(afterRevision);
          yield { revision: afterRevision + 1n };
        },
      });
      const { orders } = connect(`ipv4:127.0.0.1:${quiet.port},127.0.0.1:${next.port}`);
      const unpinned = revisions(orders.watchOrders({}));
      await opened[0]?.promise;
      const pinned = revisions(orders.watchOrders({ customerId: "pinned" }));
      await opened[1]?.promise;
      void quiet.server.drain({ timeoutMs: 1_000 });
      const { revisions: read, error } = await unpinned;
      expect([read, error]).toMatchObject([
        [],
        { reason: "CURSOR_UNKNOWN", failures: [{ details: "the server is draining" }] },
      ]);
      expect(await pinned).toEqual({ revisions: [42n], error: undefined });
      expect(asked).toEqual([0n, 0n, 41n]);
    });

    test("S5 is reopened after trailers-only answers", async () => {
      const { given } = logUpTo(LAST);
      const { orders } = await through(given, [{ on: "call", first: 3, fault: "status", code: "UNAVAILABLE" }]);
      expect(await revisions(orders.watchOrders({}))).toEqual({ revisions: upTo(LAST), error: undefined });
    });

    test("S5 is reopened after connects that failed", async () => {
      const port = await freePort();
      const { events, observer } = watched();
      const { orders } = connect(`127.0.0.1:${port}`, { observer });
      const reading = revisions(orders.watchOrders({}));
      await vi.waitFor(() => expect(toldOf(events).length).toBeGreaterThan(1), 10_000);
      await serveOn(port, logUpTo(LAST).given);
      expect(await reading).toEqual({ revisions: upTo(LAST), error: undefined });
    });
  });

  describe("S6", () => {
    test("S6 a stall timer finds a live connection on which a call says no more, and the stream is resumed", async () => {
      const { events, observer } = watched();
      const silent: FaultRule = { on: "call", nth: [1], fault: "silent", afterMessages: 20 };
      const wanted = { fromStart: true, heartbeat: { intervalMs: 40 }, observer };
      const { orders } = await through(logUpTo(LAST).given, [silent], wanted);
      expect(await revisions(orders.watchOrders({}))).toEqual({ revisions: upTo(LAST), error: undefined });
      expect(toldOf(events)).toContainEqual(["stall", "stalled", { missed: 3, intervalMs: 40 }]);
    });

    test("S6 transport keepalive finds a dead connection, and the stream is resumed", async () => {
      const { events, observer } = watched();
      const dead: FaultRule = { on: "connection", nth: [1], fault: "half-open", afterBytes: 1_200 };
      const { orders } = await through(logUpTo(LAST).given, [dead], { fromStart: true, keepaliveMs: 100, observer });
      expect(await revisions(orders.watchOrders({}))).toEqual({ revisions: upTo(LAST), error: undefined });
      expect(JSON.stringify(toldOf(events))).not.toContain("stalled");
    });

    test("S6 a slow consumer is no stall", async () => {
      const { events, observer } = watched();
      const { given } = logUpTo(5n);
      const { orders } = await through(given, [], { fromStart: true, heartbeat: { intervalMs: 100 }, observer });
      const read: bigint[] = [];
      for await (const { revision } of orders.watchOrders({})) {
        read.push(revision);
        if (revision === 1n) await new Promise((wake) => setTimeout(wake, 500));
      }
      expect(read).toEqual(upTo(5n));
      expect(JSON.stringify(toldOf(events.filter(({ type }) => type === "policy")))).not.toContain("stalled");
    });
  });

  test("S7 a consumer that stops suspends the handler, and gets all of it when it goes on", async () => {
    const MESSAGES = 600n;
    const counts = { made: 0n };
    const orderId = "x".repeat(16_384);
    const { orders } = await through(
      {
        async *watchOrders({ afterRevision }) {
          for (let revision = afterRevision + 1n; revision <= MESSAGES; revision += 1n) {
            counts.made = revision;
            yield { revision, order: { orderId } };
          }
        },
      },
      [],
      { fromStart: true, heartbeat: { intervalMs: 10_000 } },
    );
    const stream = orders.watchOrders({});
    const iterator = stream[Symbol.asyncIterator]();
    expect((await iterator.next()).value?.revision).toBe(1n);
    await vi.waitFor(async () => {
      const before = counts.made;
      await new Promise((wake) => setTimeout(wake, 150));
      expect(counts.made).toBe(before);
    }, 10_000);
    expect(counts.made).toBeLessThan(MESSAGES);
    const rest = await Array.fromAsync({ [Symbol.asyncIterator]: () => iterator });
    expect(rest.map(({ revision }) => revision)).toEqual(upTo(MESSAGES).slice(1));
  });

  describe("B7 the breaker's permit of a stream is settled by", () => {
    const breaker = { minimumCalls: 100 };
    const counts = (client: StreamClient) => {
      const { calls, failures } = client.breaker() ?? expect.unreachable("there is a breaker");
      return { calls, failures };
    };

    test.each(["message", "heartbeat"])("B7 its first %s: success, whatever breaks it later", async (first) => {
      const client = await through(
        {
          async *watchOrders() {
            yield first === "message" ? { revision: 1n } : { heartbeat: true };
            fail("UNAVAILABLE", "later");
          },
        },
        [],
        { breaker, heartbeat: {} },
      );
      await rejection(Array.fromAsync(client.orders.watchOrders({}, { retry: false })));
      expect(counts(client)).toEqual({ calls: 1, failures: 0 });
    });

    test("B7 an error before it: failure", async () => {
      const client = await through(logUpTo(1n).given, [{ on: "call", fault: "status", code: "UNAVAILABLE" }], {
        breaker,
      });
      await rejection(Array.fromAsync(client.orders.watchOrders({}, { retry: false })));
      expect(counts(client)).toEqual({ calls: 1, failures: 1 });
    });

    test("B7 a cancellation: nothing", async () => {
      const begun = gate();
      const client = await through(
        {
          async *watchOrders(_request, { signal }) {
            begun.resolve();
            await new Promise((_, end) => signal.addEventListener("abort", end));
          },
        },
        [],
        { breaker },
      );
      const controller = new AbortController();
      const reading = rejection(Array.fromAsync(client.orders.watchOrders({}, { signal: controller.signal })));
      await begun.promise;
      controller.abort("gone");
      expect(await reading).toBe("gone");
      expect(counts(client)).toEqual({ calls: 0, failures: 0 });
    });
  });

  test("R8 a caller that leaves during the wait ends it at once", async () => {
    const slow = { initialBackoffMs: 3_600_000, maxBackoffMs: 3_600_000, jitter: "a6" } as const;
    const { events, observer } = watched();
    const rule: FaultRule = { on: "call", fault: "reset", afterMessages: 20 };
    const { orders } = await through(logUpTo(LAST).given, [rule], { fromStart: true, observer, ...slow });
    const controller = new AbortController();
    const reading = revisions(orders.watchOrders({}, { signal: controller.signal }));
    await vi.waitFor(() => expect(JSON.stringify(toldOf(events))).toContain("scheduled"), 10_000);
    controller.abort("gone");
    expect((await reading).error).toBe("gone");
  });
});

test("S1 a stream that was left is continued by another client in another process, after stream.cursor", async () => {
  const { asked, given } = logUpTo(LAST);
  const { port } = await serveOn(0, given);
  const orders = createClient(OrderService, `127.0.0.1:${port}`);
  const stream = orders.watchOrders({});
  const read: bigint[] = [];
  for await (const { revision } of stream) if (read.push(revision) === 20) break;
  closeClient(orders);
  expect([read, stream.cursor]).toEqual([upTo(20n), 20n]);
  const { said } = await started("log-reader-process.ts", `127.0.0.1:${port}`, String(stream.cursor));
  expect(said).toEqual(upTo(LAST).slice(20).map(String));
  expect(asked).toEqual([0n, 20n]);
});
