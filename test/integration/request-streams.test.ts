import { constants } from "node:http2";
import { setTimeout } from "node:timers/promises";
import { type CallOptions, fail, Status } from "bowline";
import { describe, expect, test } from "vitest";
import { clients } from "../support/attempts.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";
import { rawServer } from "../support/raw-http2.ts";
import { endless, KINDS, oneRequest, streamingWays } from "../support/request-streaming.ts";

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

    test("requests are let go of when the handler answers while the next one is waited for", async () => {
      const { port } = await serveOrders(
        handlers(async (requests) => void (await requests[Symbol.asyncIterator]().next())),
      );
      const { released, requests } = oneRequest();
      await call(connect(port), requests);
      await released.promise;
    });

    test.each([
      ["is cancelled", (signal: AbortSignal): CallOptions => ({ signal }), "enough"],
      ["is too late", (): CallOptions => ({ timeoutMs: 400 }), { reason: "DEADLINE_EXCEEDED" }],
    ])("requests that are suspended are let go of when the call %s, and the handler is told", async (...given) => {
      const [, options, expected] = given;
      const told = gate<unknown>();
      const { port } = await serveOrders(
        handlers((_requests, { signal }) => {
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

describe.each(Object.entries(streamingWays))("over %s", (_name, connect) => {
  test.each(KINDS)("a breaker of a %s method opens at failures, and then takes no request", async (...given) => {
    const [, call, handlers] = given;
    let served = 0;
    const { port } = await serveOrders(
      handlers(async (requests) => {
        served += 1;
        await requests[Symbol.asyncIterator]().next();
        fail("UNAVAILABLE", "down");
      }),
    );
    const { orders, breakers } = connect(port, { service: { breaker: { minimumCalls: 3 } } });
    for (let failure = 0; failure < 3; failure += 1) {
      expect(await rejection(Promise.resolve(call(orders, endless().requests)))).toMatchObject({ attempts: 1 });
    }
    const { state, requests } = endless();
    expect(await rejection(Promise.resolve(call(orders, requests)))).toMatchObject({ reason: "BREAKER_OPEN" });
    expect([served, state.yielded]).toEqual([3, 0]);
    expect(Object.values(breakers.snapshot()).every(({ trials }) => trials === 0)).toBe(true);
  });

  test.each([
    ["client-stream method: its service's", KINDS[0], { service: { timeoutMs: 200 } }],
    ["bidi method: its own", KINDS[1], { service: { timeoutMs: 1 }, methods: { quoteBaskets: { timeoutMs: 200 } } }],
  ] as const)("the contract's timeout holds for a %s, also where the server says nothing", async (...given) => {
    const [, [, call], policies] = given;
    const { port, next } = await rawServer();
    const { released, requests } = oneRequest();
    const called = rejection(Promise.resolve(call(connect(port, policies).orders, requests)));
    const { headers, closed } = await next();
    expect(await called).toMatchObject({ reason: "DEADLINE_EXCEEDED", code: Status.DEADLINE_EXCEEDED });
    await released.promise;
    expect(headers["grpc-timeout"]).toMatch(/^[1-9]\d{0,2}m$/);
    expect(await closed).toBe(constants.NGHTTP2_CANCEL);
  });

  test("a bidi method has no deadline unless it says one", async () => {
    const [, call, handlers] = KINDS[1];
    const deadlines: unknown[] = [];
    const { port } = await serveOrders(
      handlers(async (_requests, { deadline }) => {
        deadlines.push(deadline);
        await setTimeout(100);
      }),
    );
    const answered = call(connect(port, { service: { timeoutMs: 20 } }).orders, oneRequest().requests);
    expect(await answered).toHaveLength(1);
    expect(deadlines).toEqual([undefined]);
  });
});
