import {
  breakersOf,
  clientMiddleware,
  closeClient,
  createClient,
  fail,
  type MethodPolicy,
  type PolicyChanges,
  type ServicePolicy,
  Status,
  updatePolicies,
} from "bowline";
import type { ClientMiddleware } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { connectNice } from "../support/nice-alone.ts";
import { gate, rejection, serveOrders } from "../support/orders.ts";

interface Wanted {
  readonly service?: ServicePolicy;
  readonly methods: Readonly<Record<string, MethodPolicy>>;
}

/** A client, and how it is updated. */
interface Updated {
  readonly orders: OrderServiceClient;
  /** What its policies and breakers belong to. */
  readonly owner: object;
  update(changes?: PolicyChanges<OrderServiceClient>): void;
}

const contractOf = ({ service, methods }: Wanted) =>
  contract<typeof OrderService.definition, OrderServiceClient, object>({
    ...OrderService,
    service: {
      ...{ timeoutMs: 20_000, breaker: { disabled: true } },
      ...{ retryThrottling: { maxTokens: 1_000 }, retryBudget: { ratio: 1, minInFlight: 1_000 } },
      ...service,
    },
    methods,
  });

function viaCreateClient(port: number, wanted: Wanted, options = {}): Updated {
  const orders = createClient(contractOf(wanted), `127.0.0.1:${port}`, options);
  onTestFinished(() => closeClient(orders));
  return { orders, owner: orders, update: (changes) => updatePolicies(orders, changes) };
}

function viaClientMiddleware(port: number, wanted: Wanted): Updated {
  const middleware = clientMiddleware(contractOf(wanted));
  const orders = connectNice(port, middleware) as unknown as OrderServiceClient;
  return { orders, owner: middleware, update: (changes) => updatePolicies(middleware, changes) };
}

const ways: [string, (port: number, wanted: Wanted) => Updated][] = [
  ["createClient", viaCreateClient],
  ["clientMiddleware", viaClientMiddleware],
];

/** A server that holds calls back until it is let go, and knows how many it has at a time. */
async function slowServer() {
  const { promise: released, resolve: release } = gate();
  const seen = { started: 0, underWay: 0, most: 0, arrived: gate() };
  const wait = { for: 0 };
  const { port } = await serveOrders({
    async getOrder({ orderId }) {
      seen.started += 1;
      seen.underWay += 1;
      seen.most = Math.max(seen.most, seen.underWay);
      if (seen.started >= wait.for) seen.arrived.resolve();
      await released;
      await new Promise((resolve) => setTimeout(resolve, 1));
      seen.underWay -= 1;
      return { orderId };
    },
  });
  /** Until so many have come. */
  const arrived = async (count: number) => {
    wait.for = count;
    if (seen.started < count) await seen.arrived.promise;
  };
  return { port, seen, arrived, release };
}

const ids = (count: number, from = 0) => Array.from({ length: count }, (_, n) => String(from + n));
const calls = (orders: OrderServiceClient, ids: readonly string[]) =>
  ids.map((orderId) =>
    orders.getOrder({ orderId }).then(
      (order) => order.orderId,
      (error) => error.reason,
    ),
  );

describe.each(ways)("%s, with 200 calls under way or waiting", (_, connect) => {
  const bounded = (maxConcurrent: number) => ({
    methods: { getOrder: { bulkhead: { maxConcurrent, maxQueued: 100 } } },
  });

  test("a bulkhead with less room loses none of them, and lets in no more than it has room for", async () => {
    const { port, seen, arrived, release } = await slowServer();
    const { orders, update } = connect(port, bounded(100));
    const before = calls(orders, ids(200));
    await arrived(100);
    update(bounded(20));
    expect(() => update(bounded(0))).toThrow("getOrder.bulkhead.maxConcurrent: must be a whole number of at least 1");
    const refused = calls(orders, ids(5, 200));
    expect(await Promise.all(refused)).toEqual(Array(5).fill("BULKHEAD_FULL"));
    release();
    expect(await Promise.all(before)).toEqual(ids(200));
    expect(seen).toMatchObject({ started: 200, underWay: 0, most: 100 });
    seen.most = 0;
    const after = await Promise.all(calls(orders, ids(200)));
    expect(seen.most).toBeLessThanOrEqual(20);
    expect(after.filter((outcome) => outcome === "BULKHEAD_FULL").length).toBe(80);
    expect(after.slice(0, 120)).toEqual(ids(120));
  });

  test("a bulkhead with more room lets in those who wait", async () => {
    const { port, arrived, release } = await slowServer();
    const { orders, update } = connect(port, bounded(100));
    const made = calls(orders, ids(200));
    await arrived(100);
    update({ methods: { getOrder: { bulkhead: null } } });
    await arrived(200);
    release();
    expect(await Promise.all(made)).toEqual(ids(200));
  });

  test("they keep the retries that they began with, and later calls have none", async () => {
    const { promise: released, resolve: release } = gate();
    const attempts = new Map<string, number>();
    const arrived = gate();
    const { port } = await serveOrders({
      async getOrder({ orderId }) {
        const attempt = (attempts.get(orderId) ?? 0) + 1;
        attempts.set(orderId, attempt);
        if (attempts.size === 200) arrived.resolve();
        await released;
        return attempt === 1 ? fail(Status.UNAVAILABLE, "not now") : { orderId };
      },
    });
    const retry = { maxAttempts: 3, initialBackoffMs: 5 };
    const { orders, update } = connect(port, { methods: { getOrder: { retry } } });
    const before = calls(orders, ids(200));
    await arrived.promise;
    update({ methods: { getOrder: { retry: null } } });
    release();
    expect(await Promise.all(before)).toEqual(ids(200));
    expect(await Promise.all(calls(orders, ids(50, 200)))).toEqual(Array(50).fill("STATUS"));
    update();
    expect(await Promise.all(calls(orders, ids(50, 300)))).toEqual(ids(50, 300));
  });

  test("a bad update throws, and nothing of it holds", async () => {
    const { port, seen, arrived, release } = await slowServer();
    const { orders, owner, update } = connect(port, { ...bounded(150), service: { breaker: {} } });
    const before = calls(orders, ids(200));
    await arrived(150);
    breakersOf(owner).forceClosed();
    const breakers = breakersOf(owner).snapshot();
    const good = { bulkhead: { maxConcurrent: 1 }, breaker: { disabled: true }, timeoutMs: 1 };
    const service = { retryThrottling: { maxTokens: -1 } };
    expect(() => update({ service, methods: { getOrder: good } })).toThrow(
      "service.retryThrottling.maxTokens: must be greater than zero; it is -1",
    );
    expect(breakersOf(owner).snapshot()).toEqual(breakers);
    release();
    expect(await Promise.all(before)).toEqual(ids(200));
    seen.most = 0;
    expect(await Promise.all(calls(orders, ids(150)))).toEqual(ids(150));
    expect(seen.most).toBeGreaterThan(1);
  });
});

describe.each(ways)("%s", (_, connect) => {
  test("a breaker that opened on what is no failure here is told so, and lets calls through", async () => {
    const { port } = await serveOrders({ getOrder: async () => fail(Status.RESOURCE_EXHAUSTED, "quota") });
    const { orders, owner, update } = connect(port, { service: { breaker: { minimumCalls: 3 } }, methods: {} });
    const states = () => Object.entries(breakersOf(owner).snapshot()).map(([name, { state }]) => [name, state]);
    expect(await Promise.all(calls(orders, ids(3)))).toEqual(Array(3).fill("STATUS"));
    expect(await Promise.all(calls(orders, ["a"]))).toEqual(["BREAKER_OPEN"]);
    update({ methods: { getOrder: { breaker: { codes: ["UNAVAILABLE"] } } } });
    expect(await Promise.all(calls(orders, ids(6)))).toEqual(Array(6).fill("STATUS"));
    expect(states()).toContainEqual(["/shop.orders.v1.OrderService/GetOrder", "closed"]);
    breakersOf(owner).forceOpen();
    update({ service: { breaker: { minimumCalls: 50 } } });
    expect(new Set(states().map(([, state]) => state))).toEqual(new Set(["forced-open"]));
    expect(await Promise.all(calls(orders, ["a"]))).toEqual(["BREAKER_OPEN"]);
  });

  test("a stream under way goes on resuming as it began, and the next one as was said meanwhile", async () => {
    const { port } = await serveOrders({
      async *watchOrders({ afterRevision }) {
        yield { revision: afterRevision + 1n };
        fail(Status.UNAVAILABLE, "the replica left");
      },
    });
    const fields = { requestField: "after_revision", cursorField: "revision", fromStart: true };
    const { orders, update } = connect(port, {
      methods: { watchOrders: { resume: { ...fields, initialBackoffMs: 1, maxBackoffMs: 5 } } },
    });
    const before = orders.watchOrders({})[Symbol.asyncIterator]();
    expect((await before.next()).value?.revision).toBe(1n);
    update({ methods: { watchOrders: { resume: { codes: ["ABORTED"] } } } });
    const after = orders.watchOrders({})[Symbol.asyncIterator]();
    expect((await after.next()).value?.revision).toBe(1n);
    expect(await rejection(after.next())).toMatchObject({ code: Status.UNAVAILABLE });
    for (const revision of [2n, 3n, 4n]) expect((await before.next()).value?.revision).toBe(revision);
    await before.return?.();
  });

  test("a deadline is the server's too, from the next call on", async () => {
    const left: number[] = [];
    const { port } = await serveOrders({
      async getOrder({ orderId }, { deadline }) {
        left.push(deadline ? deadline.getTime() - Date.now() : Number.POSITIVE_INFINITY);
        return { orderId };
      },
    });
    const { orders, update } = connect(port, { methods: {} });
    await Promise.all(calls(orders, ["a"]));
    update({ service: { timeoutMs: 3_000 } });
    await Promise.all(calls(orders, ["a"]));
    expect(left[0]).toBeGreaterThan(10_000);
    expect(left[1]).toBeLessThanOrEqual(3_000);
  });
});

test.each(ways)(
  "%s: how much calls matter is told the server, where its contract has it otherwise",
  async (_, connect) => {
    const matters: unknown[] = [];
    const { port } = await serveOrders({
      async getOrder(_, { criticality }) {
        matters.push(criticality);
        return {};
      },
    });
    const { orders, update } = connect(port, { methods: { getOrder: {} } });
    for (const criticality of [undefined, "sheddable", null, "critical"] as const) {
      update(criticality === undefined ? {} : { methods: { getOrder: { criticality } } });
      await orders.getOrder({});
    }
    expect(matters).toEqual([undefined, "sheddable", undefined, undefined]);
  },
);

test("what a client was made with stands around the policies that hold", async () => {
  const { port } = await serveOrders({ getOrder: async () => fail(Status.UNAVAILABLE, "not now") });
  const passed: unknown[] = [];
  const watching: ClientMiddleware = async function* (call, options) {
    passed.push(call.request);
    return yield* call.next(call.request, options);
  };
  const { orders, update } = viaCreateClient(
    port,
    { methods: { getOrder: { retry: { initialBackoffMs: 1 } } } },
    {
      timeoutMs: 15_000,
      use: [watching],
    },
  );
  expect(await rejection(orders.getOrder({ orderId: "a" }))).toMatchObject({ attempts: 3 });
  update({ methods: { getOrder: { retry: { maxAttempts: 2 } } } });
  expect(await rejection(orders.getOrder({ orderId: "b" }))).toMatchObject({ attempts: 2 });
  expect(passed).toEqual([{ orderId: "a" }, { orderId: "b" }]);
});
