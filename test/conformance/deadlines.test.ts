import { detached } from "bowline";
import { createClientFactory, createChannel as createNiceChannel } from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { toMethod } from "../../src/contract/definition.ts";
import type { Attempt } from "../../src/core/call.ts";
import type { CallOptions } from "../../src/core/call-options.ts";
import type { Clock } from "../../src/core/clock.ts";
import { toGrpcTimeout } from "../../src/core/deadline.ts";
import { Status } from "../../src/core/status.ts";
import { ActiveCalls } from "../../src/server/active-calls.ts";
import { serverLayers } from "../../src/server/layers/index.ts";
import { composeServeStream, composeServeUnary } from "../../src/server/pipeline.ts";
import { type Serving, streamServer, unaryServer } from "../../src/server/service.ts";
import { fakeClock } from "../../src/testing/index.ts";
import { channelAttempt, createChannel, niceAttempt } from "../../src/transport/index.ts";
import { contractClients as clients } from "../support/attempts.ts";
import { parseGrpcTimeout } from "../support/grpc-timeout.ts";
import { ScriptedArrival } from "../support/incoming.ts";
import { serveOrders, serveOrdersOnNice } from "../support/orders.ts";
import { type RawCall, rawCall, rawServer } from "../support/raw-http2.ts";
import { aCall, aMethod } from "../support/scripted.ts";

const eachClient = Object.entries(clients);
const eachServer = Object.entries({ createServer: serveOrders, serverMiddleware: serveOrdersOnNice });
const getOrderPath = `/${OrderService.name}/GetOrder`;
const listOrdersPath = `/${OrderService.name}/ListOrders`;

/** What the header of a call says, in milliseconds; undefined without one. */
function timeoutOf(call: RawCall): number | undefined {
  const header = call.headers["grpc-timeout"];
  return header === undefined ? undefined : parseGrpcTimeout(String(header));
}

/** Expects a header that says `timeoutMs`, less what passed between `since` and the call's arrival; 1 ms to round. */
function expectTimeout(call: RawCall, timeoutMs: number, since: number): void {
  expect(call.headers["grpc-timeout"]).toMatch(/^\d{1,8}[HMSmun]$/);
  expect(timeoutOf(call)).toBeLessThanOrEqual(timeoutMs);
  expect(timeoutOf(call)).toBeGreaterThanOrEqual(timeoutMs - (call.arrivedAt - since) - 1);
}

/** Makes a call to a server that writes nothing but HTTP/2, and answers it once the test has seen it. */
async function seen(
  connect: (port: number) => OrderServiceClient,
  make: (orders: OrderServiceClient) => Promise<unknown>,
): Promise<{ call: RawCall; since: number }> {
  const server = await rawServer();
  const since = performance.now();
  const made = make(connect(server.port));
  const call = await server.next();
  call.answer();
  await made;
  return { call, since };
}

describe("D1 grpc-timeout is what remains, rounded up, in at most 8 digits and a unit", () => {
  test.each([
    [0.2, "1m"],
    [299.4, "300m"],
    [99_999_999, "99999999m"],
    [99_999_999.5, "100000S"],
    [2_147_483_000, "2147483S"],
  ])("%d ms are %s", (remainingMs, header) => {
    expect(toGrpcTimeout(remainingMs)).toBe(header);
  });

  describe.each(eachClient)("%s", (_, connect) => {
    test("unary", async () => {
      const { call, since } = await seen(connect, (orders) => orders.getOrder({}));
      expect(call.path).toBe(getOrderPath);
      expectTimeout(call, 300, since);
    });

    test("server-stream", async () => {
      const { call, since } = await seen(connect, (orders) => Array.fromAsync(orders.listOrders({})));
      expect(call.path).toBe(listOrdersPath);
      expectTimeout(call, 30_000, since);
    });

    test("client-stream", async () => {
      const { call, since } = await seen(connect, (orders) => orders.importOrders(ReadableStream.from([])));
      expectTimeout(call, 60_000, since);
    });

    test("bidi, which has none unless it is given one", async () => {
      const quote = (options?: CallOptions) => (orders: OrderServiceClient) =>
        Array.fromAsync(orders.quoteBaskets(ReadableStream.from([]), options));
      const without = await seen(connect, quote());
      expect(without.call.headers).not.toHaveProperty("grpc-timeout");
      const given = await seen(connect, quote({ timeoutMs: 500 }));
      expectTimeout(given.call, 500, given.since);
    });

    test("a date", async () => {
      const server = await rawServer();
      const watching = connect(server.port).watchOrders({}, { deadline: new Date(Date.now() + 86_400_000) });
      const read = Array.fromAsync(watching);
      const call = await server.next();
      expect(timeoutOf(call)).toBeLessThanOrEqual(86_400_000);
      expect(timeoutOf(call)).toBeGreaterThan(86_340_000);
      call.answer();
      await read;
    });
  });
});

describe("D1 grpc-timeout is left out above what servers read", () => {
  test.each([2_147_483_648, 2_147_483_647, Number.POSITIVE_INFINITY])("%d ms", (remainingMs) => {
    expect(toGrpcTimeout(remainingMs)).toBeUndefined();
  });

  describe.each(eachClient)("%s", (_, connect) => {
    const watch = (timeoutMs: number) => (orders: OrderServiceClient) =>
      Array.fromAsync(orders.watchOrders({}, { timeoutMs }));

    test.each([2_147_483_647, 2_147_483_648, 1e15, Number.POSITIVE_INFINITY])("%d ms", async (timeoutMs) => {
      const { call } = await seen(connect, watch(timeoutMs));
      expect(call.headers).not.toHaveProperty("grpc-timeout");
    });

    test("and no earlier: 2,147,483 s", async () => {
      const { call } = await seen(connect, watch(2_147_483_000));
      expect(call.headers["grpc-timeout"]).toBe("2147483S");
    });

    test.each([
      [2_147_483_000, 2_147_483_000],
      [2_147_483_647, Number.POSITIVE_INFINITY],
    ])("a server takes %d ms for no more than it is", async (timeoutMs, most) => {
      const remaining: number[] = [];
      const { port } = await serveOrders({
        async *watchOrders(_, context) {
          remaining.push(context.remainingMs());
          yield {};
        },
      });
      await Array.fromAsync(connect(port).watchOrders({}, { timeoutMs }));
      expect(remaining[0]).toBeLessThanOrEqual(most);
      expect(remaining[0]).toBeGreaterThan(2_147_400_000);
    });
  });
});

describe("D1 a call made while serving another inherits its deadline, less 5 ms for the answer's way back", () => {
  const cases: [string, CallOptions, (orders: OrderServiceClient) => Promise<unknown>, number | "inherited"][] = [
    ["what is left", { timeoutMs: 500 }, (orders) => orders.createOrder({}), "inherited"],
    ["its own, if that is earlier", { timeoutMs: 1_500 }, (orders) => orders.getOrder({}), 300],
    [
      "what is left, though it asks for more",
      { timeoutMs: 500 },
      (orders) => orders.createOrder({}, { timeoutMs: 60_000 }),
      "inherited",
    ],
    [
      "what is left, for a stream without a timeout",
      { timeoutMs: 500 },
      (orders) => Array.fromAsync(orders.watchOrders({})),
      "inherited",
    ],
    [
      "its own, if it does not inherit",
      { timeoutMs: 500 },
      (orders) => orders.createOrder({}, { inherit: false }),
      2_000,
    ],
    ["its own, if it is detached", { timeoutMs: 500 }, (orders) => detached(() => orders.createOrder({})), 2_000],
  ];

  describe.each(eachServer)("%s", (_, serve) => {
    describe.each(eachClient)("%s", (_, connect) => {
      test.each(cases)("%s", async (_, options, make, expected) => {
        const backend = await rawServer();
        const orders = connect(backend.port);
        const served: { remainingMs: number; since: number }[] = [];
        const { port } = await serve({
          createOrder: async (_, context) => {
            await null;
            served.push({ remainingMs: context.remainingMs(), since: performance.now() });
            await make(orders);
            return {};
          },
        });
        const made = connect(port).createOrder({}, options);
        const call = await backend.next();
        call.answer();
        await made;
        const { remainingMs, since } = served[0] ?? expect.unreachable();
        expectTimeout(call, expected === "inherited" ? Math.ceil(remainingMs - 5) : expected, since);
      });

      test("in every step of a stream", async () => {
        const backend = await rawServer();
        const orders = connect(backend.port);
        const remaining: number[] = [];
        const { port } = await serve({
          async *watchOrders(_, context) {
            yield { revision: 1n };
            remaining.push(context.remainingMs());
            await orders.createOrder({});
            yield { revision: 2n };
          },
        });
        const watched = Array.fromAsync(connect(port).watchOrders({}, { timeoutMs: 500 }));
        const call = await backend.next();
        expect(timeoutOf(call)).toBeLessThanOrEqual(Math.ceil((remaining[0] ?? 0) - 5));
        call.answer();
        expect((await watched).map(({ revision }) => revision)).toEqual([1n, 2n]);
      });
    });
  });
});

describe("D1 a call made while serving another inherits its cancellation, two hops down", () => {
  /** A client, two servers that each ask the next one, and a backend that answers nothing. */
  async function chain(
    serve: (handlers: Partial<OrderServiceHandlers>) => Promise<{ port: number }>,
    connect: (port: number) => OrderServiceClient,
  ) {
    const backend = await rawServer();
    const hops: { remainingMs: number; ended: Promise<unknown> }[] = [];
    const relayTo = async (port: number) => {
      const next = connect(port);
      const relay: OrderServiceHandlers["createOrder"] = async (_, context) => {
        const remainingMs = context.remainingMs();
        const relayed = next.createOrder({});
        hops.push({ remainingMs, ended: relayed.catch(() => context.signal.aborted) });
        return await relayed;
      };
      return (await serve({ createOrder: relay })).port;
    };
    const orders = connect(await relayTo(await relayTo(backend.port)));
    return { orders, hops, backend };
  }

  describe.each(eachServer)("%s", (_, serve) => {
    describe.each(eachClient)("%s", (_, connect) => {
      test("when the caller leaves", async () => {
        const { orders, hops, backend } = await chain(serve, connect);
        const controller = new AbortController();
        const made = orders.createOrder({}, { signal: controller.signal });
        const call = await backend.next();
        controller.abort("enough");
        await expect(made).rejects.toBe("enough");
        expect(await call.closed).toBe(8);
        expect(await Promise.all(hops.map(({ ended }) => ended))).toEqual([true, true]);
      });

      test("when its deadline passes, and each hop has 5 ms less than the one before", async () => {
        const { orders, hops, backend } = await chain(serve, connect);
        const made = orders.createOrder({}, { timeoutMs: 200 });
        const call = await backend.next();
        await expect(made).rejects.toMatchObject({ code: Status.DEADLINE_EXCEEDED });
        expect(await call.closed).toBe(8);
        await Promise.all(hops.map(({ ended }) => ended));
        const remaining = [200, ...hops.map(({ remainingMs }) => remainingMs), timeoutOf(call) ?? Number.NaN];
        const [client, first, second, last] = remaining as [number, number, number, number];
        expect(first).toBeLessThanOrEqual(client);
        expect(second).toBeLessThanOrEqual(Math.ceil(first) - 5);
        expect(last).toBeLessThanOrEqual(Math.ceil(second) - 5);
      });
    });
  });
});

describe("R9 the least of contract, client and call holds", () => {
  describe.each(eachClient)("%s", (_, connect) => {
    test.each<[string, { timeoutMs?: number }, CallOptions, number]>([
      ["the contract's", {}, {}, 300],
      ["the contract's, though client and call allow more", { timeoutMs: 400 }, { timeoutMs: 500 }, 300],
      ["the client's", { timeoutMs: 200 }, { timeoutMs: 250 }, 200],
      ["the call's", { timeoutMs: 200 }, { timeoutMs: 150 }, 150],
    ])("%s", async (_, client, options, expected) => {
      const { call, since } = await seen(
        (port) => connect(port, client),
        (orders) => orders.getOrder({}, options),
      );
      expectTimeout(call, expected, since);
    });

    test("the client's for a stream that has none", async () => {
      const { call, since } = await seen(
        (port) => connect(port, { timeoutMs: 200 }),
        (orders) => Array.fromAsync(orders.watchOrders({})),
      );
      expectTimeout(call, 200, since);
    });
  });
});

describe("D2 a CANCELLED that arrives after expiry is reported as DEADLINE_EXCEEDED", () => {
  /** Both attempts, on a clock that the test moves; what they use of the machine's own time is a minute away. */
  const attempts: Record<string, (port: number, clock: Clock) => Promise<unknown>> = {
    createClient: (port, clock) => {
      const channel = createChannel(`127.0.0.1:${port}`, undefined, {});
      onTestFinished(() => channel.close());
      return getOrder(channelAttempt(channel, clock), clock);
    },
    clientMiddleware: (port, clock) => {
      const channel = createNiceChannel(`127.0.0.1:${port}`);
      onTestFinished(() => channel.close());
      // The timer, which would come before the server's answer, is late: as when the event loop is busy.
      const late: Clock = {
        now: () => clock.now(),
        wallTime: () => clock.wallTime(),
        setTimer: () => ({ cancel() {} }),
      };
      const client = createClientFactory()
        // biome-ignore lint/correctness/useYield: nice-grpc's middlewares take a generator that returns the response
        .use(async function* bowline(call, options) {
          const carrier = { next: call.next, options };
          return (await getOrder(niceAttempt(late), late, carrier)) as never;
        })
        .create(OrderService.definition, channel);
      return client.getOrder({});
    },
  };

  const minute = 60_000;
  const getOrder = async (attempt: Attempt, clock: Clock, carrier?: unknown) => {
    const method = toMethod(OrderService.definition, OrderService.definition.methods.getOrder);
    const reply = await attempt.unary(aCall({ method, request: {}, deadline: clock.now() + minute, carrier }));
    return reply.message;
  };

  test.each(
    Object.entries(attempts).flatMap(([name, attempt]) => [
      [name, "1 ms before", minute - 1, "CANCELLED", attempt] as const,
      [name, "at", minute, "DEADLINE_EXCEEDED", attempt] as const,
    ]),
  )("%s: %s its deadline", async (_client, _when, passedMs, reason, attempt) => {
    const server = await rawServer();
    const clock = fakeClock({ wallTime: Date.now() });
    const outcome = attempt(server.port, clock).catch((error) => error);
    const call = await server.next();
    await clock.advance(passedMs);
    call.reset();
    expect(await outcome).toMatchObject({ code: Status[reason], reason });
  });

  test.each(eachClient)("%s: a server that cancels in time is told as it is", async (_, connect) => {
    const server = await rawServer();
    const outcome = connect(server.port)
      .createOrder({})
      .catch((error) => error);
    (await server.next()).reset();
    expect(await outcome).toMatchObject({ code: Status.CANCELLED });
  });
});

describe("D3 a server refuses work that is already expired before its handler runs", () => {
  const wall = 1_800_000_000_000;

  /** A call that waited `waitedMs` of its 300 before its turn came: how often its handler ran, and the answer. */
  async function served(kind: "unary" | "server-stream", waitedMs: number) {
    const clock = fakeClock({ wallTime: wall });
    const serving: Serving = {
      clock,
      active: new ActiveCalls(),
      onError: () => expect.unreachable(),
      isDraining: () => false,
    };
    const arrived = new ScriptedArrival({ wallDeadline: wall + 300 }).call;
    const method = aMethod(kind);
    const layers = serverLayers(OrderService, undefined, clock);
    const handler = vi.fn(() => ReadableStream.from([]));
    const answers: (number | undefined)[] = [];
    const end = ({ error }: { error?: { code: number } }) => void answers.push(error?.code);
    const begin = {
      unary() {
        const serve = composeServeUnary(layers, async () => handler(), method);
        unaryServer(method, serve, serving)(arrived, {}, end);
      },
      "server-stream"() {
        const serve = composeServeStream(layers, handler, method);
        streamServer(method, serve, serving)(arrived, {}, { write: () => undefined, end });
      },
    };
    await clock.advance(waitedMs);
    begin[kind]();
    await clock.advance(0);
    return { runs: handler.mock.calls.length, answers };
  }

  test.each(["unary", "server-stream"] as const)("%s: 1 ms before it runs, at it not", async (kind) => {
    expect(await served(kind, 299)).toEqual({ runs: 1, answers: [undefined] });
    expect(await served(kind, 300)).toEqual({ runs: 0, answers: [Status.DEADLINE_EXCEEDED] });
  });

  describe.each(eachServer)("%s", (_, serve) => {
    const setUp = async () => {
      const handler = vi.fn();
      const { port } = await serve({
        getOrder: async () => {
          handler();
          return {};
        },
        async *listOrders() {
          handler();
          yield {};
        },
      });
      return { port, handler };
    };

    test.each([
      [getOrderPath, "0m"],
      [getOrderPath, "0H"],
      [getOrderPath, "1n"],
      [getOrderPath, "999u"],
      [listOrdersPath, "0m"],
      [listOrdersPath, "1n"],
    ])("%s with grpc-timeout %s", async (path, timeout) => {
      const { port, handler } = await setUp();
      expect(await rawCall(port, path, { "grpc-timeout": timeout })).toBe(Status.DEADLINE_EXCEEDED);
      expect(handler).not.toHaveBeenCalled();
    });

    test.each([
      [getOrderPath, { "grpc-timeout": "10S" }],
      [listOrdersPath, { "grpc-timeout": "10S" }],
      [getOrderPath, { "grpc-timeout": "1H" }],
      [getOrderPath, { "grpc-timeout": "2147483S" }],
      [getOrderPath, {}],
      [listOrdersPath, {}],
    ])("but not %s with %j", async (path, headers) => {
      const { port, handler } = await setUp();
      expect(await rawCall(port, path, headers)).toBe(Status.OK);
      expect(handler).toHaveBeenCalledOnce();
    });
  });
});
