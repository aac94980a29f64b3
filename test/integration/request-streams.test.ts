import { setTimeout } from "node:timers/promises";
import { breakersOf, type CallOptions, closeClient, createClient, fail, Status } from "bowline";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { clients } from "../support/attempts.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";
import { rawServer } from "../support/raw-http2.ts";

type Handlers = Partial<OrderServiceHandlers>;
type Requests = AsyncIterable<{ readonly order?: { readonly customerId: string } }>;

/** The two methods that stream requests: how each is called, and served by what does the same for both. */
const KINDS = [
  [
    "client-stream",
    (orders: OrderServiceClient, requests: Requests, options?: CallOptions) => orders.importOrders(requests, options),
    (serve: (requests: AsyncIterable<unknown>, signal: AbortSignal) => Promise<void>): Handlers => ({
      async importOrders(requests, { signal }) {
        await serve(requests, signal);
        return {};
      },
    }),
  ],
  [
    "bidi",
    // What a bidi call sends for an import, a quote takes for a basket without items.
    (orders: OrderServiceClient, requests: Requests, options?: CallOptions) =>
      Array.fromAsync(orders.quoteBaskets(requests as AsyncIterable<object>, options)),
    (serve: (requests: AsyncIterable<unknown>, signal: AbortSignal) => Promise<void>): Handlers => ({
      async *quoteBaskets(requests, { signal }) {
        await serve(requests, signal);
        yield {};
      },
    }),
  ],
] as const;

/** Requests without end, with a count of them, and word of when they were let go of. */
function endless(bytes = 100_000) {
  const state = { yielded: 0, released: gate() };
  // Fields of both kinds of requests.
  const request = { order: { customerId: "x".repeat(bytes) }, items: [{ sku: "x".repeat(bytes) }] };
  async function* generate() {
    try {
      for (; ; state.yielded += 1) yield request;
    } finally {
      state.released.resolve();
    }
  }
  return { state, requests: generate() };
}

/** Resolves when no more requests are taken. */
async function untilStill(state: { readonly yielded: number }): Promise<void> {
  for (let last = -1; last !== state.yielded; ) {
    last = state.yielded;
    await setTimeout(50);
  }
}

describe.each(Object.entries(clients))("over %s", (_name, connect) => {
  describe.each(KINDS)("%s", (_kind, call, handlers) => {
    test("requests are suspended while the handler does not read, and go on when it does", async () => {
      const reads = gate();
      let read = 0;
      const { port } = await serveOrders(
        handlers(async (requests) => {
          await reads.promise;
          for await (const _ of requests) {
            read += 1;
            if (read === 200) break;
          }
        }),
      );
      const { state, requests } = endless();
      const called = call(connect(port), requests, { timeoutMs: 20_000 });
      await untilStill(state);
      const suspendedAt = state.yielded;
      expect(suspendedAt).toBeGreaterThan(0);
      expect(suspendedAt).toBeLessThan(100);
      reads.resolve();
      await called;
      expect(read).toBe(200);
      await state.released.promise;
    });

    test.each([
      ["answers early", undefined],
      ["fails", Status.FAILED_PRECONDITION],
    ])("requests are let go of when the handler %s without reading on", async (_how, code) => {
      const { port } = await serveOrders(
        handlers(async (requests) => {
          await requests[Symbol.asyncIterator]().next();
          if (code !== undefined) fail(code, "not these");
        }),
      );
      const { state, requests } = endless();
      const outcome = Promise.resolve(call(connect(port), requests)).then(
        () => undefined,
        (error: unknown) => error,
      );
      await state.released.promise;
      expect(((await outcome) as { code?: number } | undefined)?.code).toBe(code);
    });

    test.each([
      ["is cancelled", (signal: AbortSignal): CallOptions => ({ signal }), "enough"],
      ["is too late", (): CallOptions => ({ timeoutMs: 400 }), { reason: "DEADLINE_EXCEEDED" }],
    ])("requests that are suspended are let go of when the call %s, and the handler is told", async (...given) => {
      const [, options, expected] = given;
      const told = gate<unknown>();
      const { port } = await serveOrders(
        handlers((_requests, signal) => {
          signal.addEventListener("abort", () => told.resolve(signal.reason));
          return told.promise.then(() => {});
        }),
      );
      const controller = new AbortController();
      const { state, requests } = endless();
      const called = rejection(Promise.resolve(call(connect(port), requests, options(controller.signal))));
      await untilStill(state);
      controller.abort("enough");
      const error = await called;
      if (typeof expected === "string") expect(error).toBe(expected);
      else expect(error).toMatchObject(expected);
      await Promise.all([state.released.promise, told.promise]);
    });

    test("is not tried again once a request has left, whatever becomes of it", async () => {
      const { port, calls, next } = await rawServer();
      const { state, requests } = endless(10);
      const called = rejection(Promise.resolve(call(connect(port), requests)));
      const first = await next();
      while (state.yielded === 0) await setTimeout(1);
      first.breakOff();
      expect(await called).toMatchObject({ code: Status.UNAVAILABLE });
      await state.released.promise;
      const again = rejection(Promise.resolve(call(connect(port), endless(10).requests, { timeoutMs: 5_000 })));
      (await next()).refuse(Status.UNAVAILABLE, { "grpc-retry-pushback-ms": "0" });
      expect(await again).toMatchObject({ code: Status.UNAVAILABLE });
      expect(calls).toHaveLength(2);
    });
  });
});

test.each(KINDS)("%s: an early answer is heard of while small requests are sent", async (_kind, call, handlers) => {
  const { port } = await serveOrders(
    handlers(async (requests) => void (await requests[Symbol.asyncIterator]().next())),
  );
  const { state, requests } = endless(1);
  await call(connectOrders(port), requests);
  await state.released.promise;
  // Without a turn for the event loop it would be what grpc-js takes at once: a mebibyte.
  expect(state.yielded).toBeLessThan(20_000);
});

describe.each(KINDS)("a breaker of a %s method", (_kind, call, handlers) => {
  test("opens at failures, and then takes no request", async () => {
    let served = 0;
    const { port } = await serveOrders(
      handlers(async (requests) => {
        served += 1;
        await requests[Symbol.asyncIterator]().next();
        fail("UNAVAILABLE", "down");
      }),
    );
    const Breaking = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
      ...OrderService,
      service: { breaker: { minimumCalls: 3 } },
      methods: {},
    });
    const orders = createClient(Breaking, `127.0.0.1:${port}`);
    onTestFinished(() => closeClient(orders));
    for (let failure = 0; failure < 3; failure += 1) {
      expect(await rejection(Promise.resolve(call(orders, endless(10).requests)))).toMatchObject({ attempts: 1 });
    }
    const { state, requests } = endless(10);
    expect(await rejection(Promise.resolve(call(orders, requests)))).toMatchObject({ reason: "BREAKER_OPEN" });
    expect([served, state.yielded]).toEqual([3, 0]);
    const trials = Object.values(breakersOf(orders).snapshot()).map((breaker) => breaker.trials);
    expect(trials.every((count) => count === 0)).toBe(true);
  });
});
