import { setTimeout as sleep } from "node:timers/promises";
import { type RpcError, Status } from "bowline";
import { deadlineInterceptor, rateLimit, shed } from "bowline/server";
import { createServer, type ServerMiddleware } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import type { OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { pushbackOf } from "../../src/transport/pushback.ts";
import { connectOrders, gate, ordersHandlers, rejection } from "../support/orders.ts";

/** A machine that is busy with other tests is no load of the server's. */
const NO_LAG = { loopDelayMs: Number.POSITIVE_INFINITY };

/** Serves the orders with nice-grpc alone, but for one middleware. */
async function serveNice(given: Partial<OrderServiceHandlers>, middleware: ServerMiddleware): Promise<number> {
  const server = createServer({ interceptors: [deadlineInterceptor] }).use(middleware);
  server.add(OrderServiceDefinition, ordersHandlers(given) as never);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(() => server.forceShutdown());
  return port;
}

const path = (name: string) => `/shop.orders.v1.OrderService/${name}`;
const refused = async (call: Promise<unknown>) => (await rejection(call)) as RpcError;

describe("rateLimit()", () => {
  test("limits each method of each caller, and says when to come again", async () => {
    const given = { getOrder: async () => ({}), async *listOrders() {} };
    const orders = connectOrders(await serveNice(given, rateLimit({ calls: 1, perMs: 60_000 })));
    await orders.getOrder({});
    const error = await refused(orders.getOrder({}));
    expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, reason: "RATE_LIMITED" });
    expect(error.trailer && pushbackOf(error.trailer)).toBeGreaterThan(50_000);
    expect(await Array.fromAsync(orders.listOrders({}))).toEqual([]);
    expect(await refused(Array.fromAsync(orders.listOrders({})))).toMatchObject({ reason: "RATE_LIMITED" });
  });

  test("of the methods that it is for", async () => {
    const given = { getOrder: async () => ({}), async *listOrders() {} };
    const limit = rateLimit({ calls: 1, perMs: 60_000, methods: [path("ListOrders")] });
    const orders = connectOrders(await serveNice(given, limit));
    await orders.getOrder({});
    await orders.getOrder({});
  });

  test("leaves a handler's errors as they are", async () => {
    const orders = connectOrders(await serveNice({}, rateLimit({ calls: 10 })));
    expect(await refused(orders.getOrder({}))).toMatchObject({ code: Status.UNIMPLEMENTED, reason: "STATUS" });
  });
});

describe("shed()", () => {
  test("refuses what matters least, until handlers have ended", async () => {
    const [began, end] = [gate(), gate()];
    const getOrder = async () => {
      began.resolve();
      await end.promise;
      return { orderId: "a" };
    };
    const given = { getOrder, async *listOrders() {} };
    const orders = connectOrders(await serveNice(given, shed({ ...NO_LAG, maxConcurrent: 2 })));
    const running = orders.getOrder({});
    await began.promise;
    const error = await refused(Array.fromAsync(orders.listOrders({}, { criticality: "sheddable" })));
    expect(error).toMatchObject({ code: Status.RESOURCE_EXHAUSTED, reason: "SHED" });
    expect(error.trailer && pushbackOf(error.trailer)).toBe(-1);
    expect(await Array.fromAsync(orders.listOrders({}))).toEqual([]);
    end.resolve();
    expect(await running).toMatchObject({ orderId: "a" });
    expect(await Array.fromAsync(orders.listOrders({}, { criticality: "sheddable" }))).toEqual([]);
  });

  test("lets calls wait, no longer than their deadline", async () => {
    const [began, end] = [gate(), gate()];
    let runs = 0;
    const getOrder = async () => {
      runs += 1;
      began.resolve();
      await end.promise;
      return {};
    };
    const orders = connectOrders(await serveNice({ getOrder }, shed({ ...NO_LAG, maxConcurrent: 1, maxQueued: 5 })));
    const running = orders.getOrder({});
    await began.promise;
    expect(await refused(orders.getOrder({}, { timeoutMs: 50 }))).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    // The client knows first: that the call is over is still on its way to the server.
    await sleep(300);
    const waiting = orders.getOrder({});
    end.resolve();
    await Promise.all([running, waiting]);
    expect(runs).toBe(2);
  });

  test("counts a stream's opening alone", async () => {
    const orders = connectOrders(
      await serveNice(
        {
          async *watchOrders(_request, { signal }) {
            yield {};
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          },
          getOrder: async () => ({}),
        },
        shed({ ...NO_LAG, maxConcurrent: 1 }),
      ),
    );
    const watch = orders.watchOrders({});
    await watch.next();
    await orders.getOrder({});
    await watch.return();
  });
});

test.each<[() => unknown, string]>([
  [() => rateLimit(undefined as never), "rateLimit: the options must be { calls, … }; they are undefined"],
  [() => rateLimit({} as never), "rateLimit: calls is missing: say how many calls there may be"],
  [
    () => rateLimit({ calls: 0, methods: ["GetOrder"], observer: 1, limit: 2 } as never),
    "rateLimit: there is no option limit; there are calls, perMs, burst, key, methods, store; " +
      "calls must be greater than zero; it is 0; " +
      'methods must be an array of paths, such as /package.Service/Method; it is ["GetOrder"]; ' +
      "observer must be a function; it is 1",
  ],
  [
    () => shed({ maxConcurrent: 1, adaptive: {} } as never),
    "shed: shed maxConcurrent and adaptive exclude each other: a limit is either fixed or follows the latency",
  ],
  [
    () => shed({ maxConcurrent: 0, clock: 1 } as never),
    "shed: maxConcurrent must be a whole number of at least 1; it is 0; clock must be an object; it is 1",
  ],
])("%s is refused, with all that is wrong", (make, message) => {
  expect(make).toThrow(new TypeError(message));
});
