import { setTimeout } from "node:timers/promises";
import { fail, Status } from "bowline";
import { describe, expect, test } from "vitest";
import { gate, rejection, serveOrders } from "../support/orders.ts";
import { oneRequest, streamingWays } from "../support/request-streaming.ts";

const METHOD = "/shop.orders.v1.OrderService/QuoteBaskets";

/** Answers each basket, until the requests end or throw; and what they did. */
function quoting() {
  const ended = gate<unknown>();
  async function* quoteBaskets(requests: AsyncIterable<unknown>, { signal }: { readonly signal: AbortSignal }) {
    try {
      for await (const _ of requests) yield {};
      ended.resolve("all of them");
    } catch (error) {
      ended.resolve(signal.aborted && error === signal.reason ? "aborted" : error);
      throw error;
    }
  }
  return { ended, quoteBaskets };
}

describe.each(Object.entries(streamingWays))("a bidi call over %s", (_name, connect) => {
  test("suspends a handler whose responses are not read, and gives all of them when they are", async () => {
    const RESPONSES = 16_000;
    const all = Array.from({ length: RESPONSES }, (_, at) => 2n ** 62n + BigInt(at));
    let yielded = 0;
    const { port } = await serveOrders({
      async *quoteBaskets() {
        for (const totalCents of all) {
          yielded += 1;
          yield { totalCents };
        }
      },
    });
    const { released, requests } = oneRequest();
    const { orders } = connect(port, {}, { "grpc-node.flow_control_window": 64 * 1024 });
    const read: bigint[] = [];
    for await (const { totalCents } of orders.quoteBaskets(requests)) {
      if (read.push(totalCents) > 1) continue;
      for (let last = -1; last !== yielded; await setTimeout(50)) last = yielded;
      expect(yielded).toBeLessThan(RESPONSES);
    }
    expect(read).toEqual(all);
    await released.promise;
  });

  test.each([
    ["break", () => {}, undefined],
    ["a throw", () => Promise.reject("seen enough"), "seen enough"],
  ])("that is left by %s ends for the handler, and lets go of the requests", async (_how, leave, thrown) => {
    const { ended, quoteBaskets } = quoting();
    const { server, port } = await serveOrders({ quoteBaskets });
    const { released, requests } = oneRequest();
    const reading = async () => {
      for await (const _ of connect(port, {}).orders.quoteBaskets(requests)) {
        await leave();
        break;
      }
    };
    expect(await reading().catch((reason: unknown) => reason)).toBe(thrown);
    await released.promise;
    expect(await ended.promise).toBe("aborted");
    while (server.activeCalls > 0) await setTimeout(5);
  });

  describe("B7 a breaker's permit is settled by", () => {
    const breaker = { minimumCalls: 100 };

    test("B7 its first message: success, whatever breaks it later", async () => {
      const { port } = await serveOrders({
        async *quoteBaskets() {
          yield {};
          fail("UNAVAILABLE", "later");
        },
      });
      const { orders, breakers } = connect(port, { service: { breaker } });
      const { requests } = oneRequest();
      expect(await rejection(Array.fromAsync(orders.quoteBaskets(requests)))).toMatchObject({ details: "later" });
      expect(breakers.snapshot()[METHOD]).toMatchObject({ calls: 1, failures: 0 });
    });

    test("B7 an error before it: failure", async () => {
      const { port } = await serveOrders({ quoteBaskets: () => fail("UNAVAILABLE", "at once") });
      const { orders, breakers } = connect(port, { service: { breaker } });
      const error = await rejection(Array.fromAsync(orders.quoteBaskets(oneRequest().requests)));
      expect(error).toMatchObject({ code: Status.UNAVAILABLE });
      expect(breakers.snapshot()[METHOD]).toMatchObject({ calls: 1, failures: 1 });
    });

    test("B7 a cancellation: nothing", async () => {
      const begun = gate();
      const { port } = await serveOrders({
        // biome-ignore lint/correctness/useYield: it is left before its first message
        async *quoteBaskets(requests) {
          begun.resolve();
          for await (const _ of requests);
        },
      });
      const { orders, breakers } = connect(port, { service: { breaker } });
      const controller = new AbortController();
      const stream = orders.quoteBaskets(oneRequest().requests, { signal: controller.signal });
      const reading = rejection(Array.fromAsync(stream));
      await begun.promise;
      controller.abort("gone");
      expect(await reading).toBe("gone");
      expect(breakers.snapshot()[METHOD]).toMatchObject({ calls: 0, failures: 0, trials: 0 });
    });
  });
});
