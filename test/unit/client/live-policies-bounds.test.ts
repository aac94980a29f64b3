import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CRITICALITY_KEY } from "../../../src/core/criticality.ts";
import { LiveOrders } from "../../support/live-orders.ts";
import { aFailure } from "../../support/retrying.ts";

const GET_ORDER = "/shop.orders.v1.OrderService/GetOrder";

test("a throttle goes by what holds, for calls too that matter as much as none did before", async () => {
  const throttled = (windowMs: number) => ({ service: { throttle: { windowMs } } });
  const orders = new LiveOrders(throttled(1_000));
  const fail = async (criticality: string) => {
    orders.call("getOrder", { headers: { [CRITICALITY_KEY]: criticality } });
    await orders.fail(aFailure());
  };
  await fail("sheddable");
  orders.update(throttled(60_000));
  await fail("critical");
  await orders.clock.advance(2_000);
  const requests = (criticality: string) => orders.state.throttle({}, criticality).snapshot().requests;
  expect(requests("critical")).toBe(1);
  orders.update(throttled(1_000));
  await fail("critical_plus");
  await orders.clock.advance(2_000);
  expect(requests("critical_plus")).toBe(0);
});

describe("a bulkhead", () => {
  const bounded = (maxConcurrent: number, maxQueued = 9) => ({
    methods: { getOrder: { bulkhead: { maxConcurrent, maxQueued } } },
  });
  const sent = (orders: LiveOrders) => orders.unary.calls.length;

  test("with less room counts what is under way, and nobody who waits is lost or overtaken", async () => {
    const orders = new LiveOrders(bounded(3));
    for (const id of [1, 2, 3, 4]) orders.call("getOrder", { id });
    orders.update(bounded(1));
    orders.call("getOrder", { id: 5 });
    await orders.reply();
    await orders.reply();
    expect(sent(orders)).toBe(3);
    for (let n = 0; n < 3; n += 1) await orders.reply();
    expect(orders.unary.calls.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5]);
  });

  test("with more room lets in who waits before who comes", async () => {
    const orders = new LiveOrders(bounded(1));
    for (const id of [1, 2, 3]) orders.call("getOrder", { id });
    orders.update(bounded(2));
    orders.call("getOrder", { id: 4 });
    await setImmediate();
    expect(orders.unary.calls.map(({ id }) => id)).toEqual([1, 2]);
    for (let n = 0; n < 4; n += 1) await orders.reply();
    expect(orders.unary.calls.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
  });

  test("that is taken away lets in all who wait, and counts them when it comes back", async () => {
    const orders = new LiveOrders(bounded(1));
    for (const id of [1, 2, 3]) orders.call("getOrder", { id });
    orders.update({ methods: { getOrder: { bulkhead: null } } });
    await setImmediate();
    expect(sent(orders)).toBe(3);
    orders.call();
    orders.update();
    orders.call();
    expect(sent(orders)).toBe(4);
    for (let n = 0; n < 4; n += 1) await orders.reply();
    expect(sent(orders)).toBe(5);
  });

  test("leaves no timer behind for those whom an update lets in", async () => {
    const orders = new LiveOrders(bounded(1));
    const calls = [orders.call(), orders.call(), orders.call()];
    orders.update(bounded(3));
    await setImmediate();
    expect(orders.clock.pending).toBe(0);
    for (const _ of calls) await orders.reply();
    expect(calls.every(({ outcome }) => outcome?.value === "order")).toBe(true);
  });

  test("whose queue is new makes nothing slow for the breaker that waits in it, of calls that began before too", async () => {
    const orders = new LiveOrders({
      service: { breaker: { slowMs: 100 } },
      methods: { getOrder: { bulkhead: { maxConcurrent: 1 }, retry: { initialBackoffMs: 1 } } },
    });
    orders.call();
    orders.update(bounded(1));
    await orders.fail(aFailure());
    orders.call();
    await orders.clock.advance(5_000);
    await orders.reply();
    await orders.reply();
    expect(sent(orders)).toBe(3);
    // The other one took 5 s at the target.
    expect(orders.state.breakers.snapshot()[GET_ORDER]).toMatchObject({ calls: 3, failures: 1, slow: 1 });
  });

  test("lets a stream that waits in", async () => {
    const orders = new LiveOrders({ methods: { listOrders: { bulkhead: { maxConcurrent: 1, maxQueued: 1 } } } });
    const streams = [orders.open(), orders.open()];
    for (const stream of streams) void stream.next();
    orders.update({ methods: { listOrders: { bulkhead: { maxConcurrent: 2 } } } });
    await setImmediate();
    expect(orders.streams.calls).toHaveLength(2);
  });
});

test("a target's limit that comes and goes counts those that it let in", async () => {
  const orders = new LiveOrders({ service: { adaptiveLimit: { initialLimit: 2, minLimit: 1 } } });
  for (const _ of [1, 2, 3]) orders.call();
  expect(orders.unary.calls.length).toBe(2);
  orders.update({ service: { adaptiveLimit: null } });
  orders.call();
  orders.update({ service: { adaptiveLimit: { initialLimit: 3, minLimit: 3 } } });
  orders.call();
  orders.call();
  expect(orders.unary.calls.length).toBe(4);
  for (let n = 0; n < 4; n += 1) await orders.reply();
  expect(orders.state.adaptiveLimit({}).snapshot()).toMatchObject({ limit: 3, inFlight: 0 });
});

describe("an update of the target's limit and of a bulkhead", () => {
  const both = (limit: number, maxConcurrent: number) => ({
    service: { adaptiveLimit: { initialLimit: limit, minLimit: limit, maxLimit: limit } },
    methods: { getOrder: { bulkhead: { maxConcurrent, maxQueued: 9 } } },
  });

  test.each<[string, [number, number], [number, number], number]>([
    ["raises the one and narrows the other", [1, 10], [10, 2], 2],
    ["narrows the one and raises the other", [10, 1], [2, 10], 2],
    ["raises both", [1, 1], [4, 6], 4],
  ])("that %s lets in as many as both allow", async (_, before, after, most) => {
    const orders = new LiveOrders(both(...before));
    for (let n = 0; n < 10; n += 1) orders.call();
    orders.update(both(...after));
    await setImmediate();
    expect(orders.unary.calls.length).toBe(most);
    for (let n = 0; n < 10; n += 1) await orders.reply();
    expect(orders.unary.calls.length).toBe(10);
  });

  test("tells of the new limit when all bounds hold, also for calls that are made in answer to that", async () => {
    const orders: LiveOrders = new LiveOrders(both(1, 10), undefined, ({ type, ...event }) => {
      if (type !== "policy" || Reflect.get(event, "policy") !== "adaptive-limit") return;
      for (let n = 0; n < 5; n += 1) orders.call();
    });
    orders.update(both(10, 2));
    await setImmediate();
    expect(orders.unary.calls.length).toBe(2);
  });

  test("lets in the queues of two methods in turns", async () => {
    const { service, methods } = both(1, 5);
    const orders = new LiveOrders({ service, methods: { ...methods, createOrder: methods.getOrder } });
    orders.call();
    for (const key of ["getOrder", "getOrder", "createOrder", "createOrder"] as const) orders.call(key);
    const later = both(3, 6);
    orders.update({ ...later, methods: { ...later.methods, createOrder: later.methods.getOrder } });
    await setImmediate();
    expect(orders.unary.calls.map(({ method }) => method.name)).toEqual(["GetOrder", "GetOrder", "CreateOrder"]);
  });
});
