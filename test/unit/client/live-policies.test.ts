import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Order } from "../../../gen/shop/orders/v1/orders.ts";
import type { ObserverEvent } from "../../../src/core/observer.ts";
import { Status } from "../../../src/core/status.ts";
import { listenersOf } from "../../support/driven.ts";
import { LiveItems } from "../../support/live-items.ts";
import { LiveOrders, type OrderChanges } from "../../support/live-orders.ts";
import { aFailure } from "../../support/retrying.ts";

const GET_ORDER = "/shop.orders.v1.OrderService/GetOrder";
const LIST_ORDERS = "/shop.orders.v1.OrderService/ListOrders";

/** Retries without a breaker that would stop them. */
const RETRIED = { service: { breaker: { disabled: true } }, methods: { getOrder: { retry: { maxAttempts: 3 } } } };

/** Lets every attempt under way fail, and time pass, until there is none. */
async function failAll(orders: LiveOrders, code: number = Status.UNAVAILABLE): Promise<number> {
  const before = orders.unary.calls.length - 1;
  for (let n = -1; n !== orders.unary.calls.length; ) {
    n = orders.unary.calls.length;
    await orders.fail(aFailure({ code: code as typeof Status.UNAVAILABLE }));
    await orders.clock.advance(1_000);
  }
  return orders.unary.calls.length - before;
}

/** How many attempts a call has when all of them fail. */
async function attemptsOf(orders: LiveOrders, code?: number): Promise<number> {
  orders.call();
  return await failAll(orders, code);
}

describe("what an update says", () => {
  test("holds for the next call, and not for one that is under way", async () => {
    const orders = new LiveOrders(RETRIED);
    orders.call();
    orders.update({ methods: { getOrder: { retry: null } } });
    expect(await failAll(orders)).toBe(3);
    expect(await attemptsOf(orders)).toBe(1);
  });

  test("holds for the calls of the method that it names", () => {
    const orders = new LiveOrders();
    orders.update({ methods: { getOrder: { timeoutMs: 40 } } });
    orders.call("getOrder");
    orders.call("createOrder");
    expect(orders.unary.calls.map(({ deadline }) => deadline)).toEqual([40, 10_000]);
    expect(orders.installed).toEqual(["getOrder"]);
  });

  test("holds setting by setting: what it leaves out is as the contract says", async () => {
    const getOrder = { retry: { maxAttempts: 2, codes: ["INTERNAL"] as const } };
    const orders = new LiveOrders({ ...RETRIED, methods: { getOrder } });
    orders.update({ methods: { getOrder: { retry: { maxAttempts: 3 } } } });
    expect(await attemptsOf(orders, Status.INTERNAL)).toBe(3);
    expect(await attemptsOf(orders, Status.UNAVAILABLE)).toBe(1);
    orders.update({ methods: { getOrder: { retry: { codes: null } } } });
    expect(await attemptsOf(orders, Status.INTERNAL)).toBe(1);
    expect(await attemptsOf(orders, Status.UNAVAILABLE)).toBe(2);
  });

  test("begins from the contract, whatever was said before", async () => {
    const orders = new LiveOrders(RETRIED);
    orders.update({ methods: { getOrder: { retry: null } } });
    orders.update({ methods: { getOrder: { timeoutMs: 5_000 } } });
    expect(await attemptsOf(orders)).toBe(3);
  });

  test.each<[string, (orders: LiveOrders) => void]>([
    ["with nothing in it", (orders) => orders.update({})],
    ["with nothing of the method", (orders) => orders.update({ service: {}, methods: {} })],
    ["with undefined", (orders) => orders.update({ methods: { getOrder: { retry: undefined } } } as never)],
  ])("%s is what the contract says", async (_, update) => {
    const orders = new LiveOrders(RETRIED);
    orders.update({ service: { timeoutMs: 1 }, methods: { getOrder: { retry: null } } });
    update(orders);
    expect(await attemptsOf(orders)).toBe(3);
    expect(orders.unary.calls[0]?.deadline).toBe(10_000);
  });

  test("is copied: what becomes of the object afterwards is nobody's policy", async () => {
    const orders = new LiveOrders(RETRIED);
    const codes: "INTERNAL"[] = ["INTERNAL"];
    const changes = { methods: { getOrder: { retry: { codes } } } };
    orders.update(changes);
    codes.length = 0;
    orders.update(changes);
    expect(orders.installed).toEqual(["getOrder", "getOrder"]);
    expect(await attemptsOf(orders, Status.INTERNAL)).toBe(1);
  });

  test("holds for streams that are opened from then on", () => {
    const orders = new LiveOrders();
    const before = orders.open();
    orders.update({ methods: { listOrders: { timeoutMs: 70 } } });
    const after = orders.open();
    void [before.next(), after.next()];
    expect(orders.streams.calls.map(({ deadline }) => deadline)).toEqual([Number.POSITIVE_INFINITY, 70]);
  });

  test("of the service holds where a method says nothing of its own", () => {
    const orders = new LiveOrders({ methods: { getOrder: { timeoutMs: 300 } } });
    orders.update({ service: { timeoutMs: 50 } });
    for (const key of ["getOrder", "createOrder"] as const) orders.call(key);
    orders.update({ service: { timeoutMs: 50 }, methods: { getOrder: { timeoutMs: null } } });
    orders.call();
    expect(orders.unary.calls.map(({ deadline }) => deadline)).toEqual([300, 50, 50]);
  });
});

describe("how much calls matter", () => {
  const sentOf = (orders: LiveOrders) => orders.unary.calls.map(({ headers }) => headers?.["bowline-criticality"]);
  const said = {
    service: { criticality: "critical_plus" },
    methods: { createOrder: { criticality: "sheddable" } },
  } as const;

  test("is sent where an update says something else than the contract, by which the server goes otherwise", () => {
    const orders = new LiveOrders(said);
    orders.call();
    orders.update({ service: { criticality: "sheddable_plus" } });
    for (const key of ["getOrder", "createOrder"] as const) orders.call(key);
    expect(orders.installed).toEqual(["getOrder", "listOrders", "watchOrders", "importOrders", "quoteBaskets"]);
    orders.update();
    orders.call();
    expect(sentOf(orders)).toEqual([undefined, "sheddable_plus", undefined, undefined]);
  });

  test("is sent as the service's, or as the default, where the contract's is taken away", () => {
    const orders = new LiveOrders(said);
    orders.update({ methods: { createOrder: { criticality: null } } });
    orders.call("createOrder");
    orders.update({ service: { criticality: null } });
    orders.call("getOrder");
    expect(sentOf(orders)).toEqual(["critical_plus", "critical"]);
  });

  test("is the call's, or the client's, before what an update says", () => {
    const orders = new LiveOrders(said);
    orders.update({ service: { criticality: "sheddable_plus" } });
    orders.call("getOrder", { options: { criticality: "critical" } });
    const others = new LiveOrders(said, undefined, undefined, { criticality: "critical" });
    others.update({ service: { criticality: "sheddable_plus" } });
    others.call();
    expect([...sentOf(orders), ...sentOf(others)]).toEqual(["critical", "critical"]);
  });
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

describe("a breaker", () => {
  const opensAtTwo = { minimumCalls: 2, openMs: 1_000 };
  const broken = async (changes = {}) => {
    const orders = new LiveOrders({ service: { breaker: opensAtTwo }, ...changes });
    for (let n = 0; n < 2; n += 1) {
      orders.call();
      await orders.fail(aFailure());
    }
    return orders;
  };
  const stateOf = (orders: LiveOrders, name = GET_ORDER) => orders.state.breakers.snapshot()[name]?.state;

  test("whose policy stays goes on as it was, though the method's other policies change", async () => {
    const orders = await broken();
    orders.update({ methods: { getOrder: { timeoutMs: 500, retry: {} } } });
    expect(stateOf(orders)).toBe("open");
    orders.call();
    expect(orders.unary.calls.length).toBe(2);
  });

  test.each<[string, OrderChanges]>([
    ["that is stated", { service: { breaker: { openMs: 1_000, failureRatio: 0.5, trials: 5 } } }],
    ["that a method states", { methods: { getOrder: { breaker: { windowMs: 10_000, maxOpenMs: 60_000 } } } }],
    ["that comes of its timeout", { service: { breaker: { slowMs: 5_000, trialTimeoutMs: 10_000 } } }],
    [
      "of its statuses, in another order",
      {
        service: {
          breaker: { codes: ["UNKNOWN", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE"] },
        },
      },
    ],
    ["that it is not disabled", { service: { breaker: { disabled: false, scope: "method" } } }],
  ])("goes on as it was with a default %s, and when that is left out again", async (_, restated) => {
    const orders = await broken();
    orders.update(restated);
    expect(stateOf(orders)).toBe("open");
    orders.update();
    expect(stateOf(orders)).toBe("open");
  });

  test.each<[string, OrderChanges]>([
    ["its open time", { service: { breaker: { openMs: 1_001 } } }],
    ["its statuses", { service: { breaker: { codes: ["UNAVAILABLE"] } } }],
    ["what is slow", { methods: { getOrder: { breaker: { slowMs: 4_999 } } } }],
    ["how long a trial may take", { methods: { getOrder: { breaker: { trialTimeoutMs: 10_001 } } } }],
  ])("closes when another is said of %s", async (_, changes) => {
    const orders = await broken();
    orders.update(changes);
    expect(stateOf(orders)).toBe("closed");
  });

  test("whose policy changes closes, and is told to have", async () => {
    const orders = await broken();
    orders.update({ methods: { getOrder: { breaker: { minimumCalls: 3 } } } });
    expect(stateOf(orders)).toBe("closed");
    expect(orders.events).toContainEqual(
      expect.objectContaining({ policy: "breaker", action: "closed", method: GET_ORDER }),
    );
    for (const _ of [1, 2]) {
      orders.call();
      await orders.fail(aFailure());
    }
    expect(stateOf(orders)).toBe("closed");
  });

  test("that was forced stays so, whatever its policy becomes, and one that is still to come too", async () => {
    const orders = await broken();
    orders.state.breakers.forceOpen();
    orders.update({ service: { breaker: { minimumCalls: 5, scope: "service" } } });
    expect(orders.state.breakers.snapshot()).toMatchObject({ "shop.orders.v1.OrderService": { state: "forced-open" } });
    orders.update({ service: { breaker: { minimumCalls: 4 } } });
    expect([stateOf(orders), stateOf(orders, LIST_ORDERS)]).toEqual(["forced-open", "forced-open"]);
    orders.state.breakers.reset();
    expect([stateOf(orders), stateOf(orders, LIST_ORDERS)]).toEqual(["closed", "closed"]);
  });

  test("that is disabled is not shown, and comes back as it stood when it is not", async () => {
    const orders = await broken();
    orders.update({ methods: { getOrder: { breaker: { disabled: true } } } });
    expect(Object.keys(orders.state.breakers.snapshot())).not.toContain(GET_ORDER);
    orders.call();
    expect(orders.unary.calls.length).toBe(3);
    orders.update();
    expect(stateOf(orders)).toBe("open");
  });

  test("guards calls that began before an update too", async () => {
    const orders = await broken({ methods: { getOrder: { retry: { codes: ["UNKNOWN"] } } } });
    orders.state.breakers.reset();
    const before = orders.call();
    orders.update({ methods: { getOrder: { breaker: { minimumCalls: 5 } } } });
    orders.state.breakers.forceOpen(GET_ORDER);
    await orders.fail(aFailure({ code: Status.UNKNOWN }));
    await orders.clock.advance(1_000);
    expect(before.outcome?.value).toMatchObject({ reason: "BREAKER_OPEN", attempts: 1 });
  });
});

describe("what the target's calls share", () => {
  const tokens = (orders: LiveOrders) => orders.state.retryShare.throttling.snapshot();

  test("is there still: tokens in proportion, calls of the budget, without another pipeline", async () => {
    const orders = new LiveOrders(RETRIED);
    await attemptsOf(orders);
    expect(tokens(orders)).toMatchObject({ tokens: 7, maxTokens: 10 });
    const { calls } = orders.state.retryShare.budget.snapshot();
    orders.update({ service: { retryThrottling: { maxTokens: 100 }, retryBudget: { ratio: 0.5 } } });
    expect(tokens(orders)).toMatchObject({ tokens: 70, maxTokens: 100 });
    expect(orders.state.retryShare.budget.snapshot().calls).toBe(calls);
    expect(orders.installed).toEqual([]);
    orders.update();
    expect(tokens(orders)).toMatchObject({ tokens: 7, maxTokens: 10 });
  });
});

describe("kept answers", () => {
  const cached = { methods: { getOrder: { cache: { ttlMs: 100 } } }, service: { breaker: { disabled: true } } };
  const kept = async () => {
    const orders = new LiveOrders(cached);
    orders.call();
    await orders.reply(Order.fromPartial({ orderId: "o-1" }));
    return orders;
  };

  test("are there still with other times, such as when the server is down", async () => {
    const orders = await kept();
    await orders.clock.advance(5_000);
    orders.update({ methods: { getOrder: { cache: { staleIfErrorMs: 60_000 } } } });
    const call = orders.call();
    await orders.fail(aFailure());
    expect(call.outcome?.value).toMatchObject({ orderId: "o-1" });
  });

  test("are gone once nothing is to be kept", async () => {
    const orders = await kept();
    orders.update({ methods: { getOrder: { cache: null } } });
    orders.call();
    await orders.reply(Order.fromPartial({ orderId: "o-2" }));
    orders.update();
    orders.call();
    expect(orders.unary.calls.length).toBe(3);
  });
});

describe("a call that is shared", () => {
  const coalesced = { methods: { getOrder: { coalesce: {} } } };

  test("is joined by who comes after an update of something else", () => {
    const orders = new LiveOrders(coalesced);
    orders.call();
    orders.update({ methods: { createOrder: { timeoutMs: 100 } } });
    orders.call();
    expect(orders.unary.calls.length).toBe(1);
  });

  test("is not joined by who comes after an update of its method, whose policies are others", async () => {
    const orders = new LiveOrders(coalesced);
    const calls = [orders.call()];
    orders.update({ methods: { getOrder: { timeoutMs: 100 } } });
    calls.push(orders.call(), orders.call());
    expect(orders.unary.calls.length).toBe(2);
    await orders.reply(Order.fromPartial({ orderId: "before" }));
    await orders.reply(Order.fromPartial({ orderId: "after" }));
    expect(calls.map(({ outcome }) => Reflect.get(outcome?.value as object, "orderId"))).toEqual([
      ...["before", "after", "after"],
    ]);
  });
});

describe("calls that are gathered", () => {
  test("are sent by an update of how they are, and the next ones wait as it says", async () => {
    const items = new LiveItems({ maxSize: 10, maxWaitMs: 50 });
    items.call("a");
    items.call("b");
    items.update({ methods: { getItem: { batch: { maxWaitMs: 5 } } } });
    expect(items.sent()).toEqual([["a", "b"]]);
    items.call("c");
    await items.clock.advance(5);
    expect(items.sent()).toEqual([["a", "b"], ["c"]]);
  });

  test("a hundred updates leave no batch, timer or listener behind", async () => {
    const items = new LiveItems({ maxSize: 10, maxWaitMs: 50 });
    for (let n = 0; n < 100; n += 1) {
      items.update({ methods: { getItem: { batch: n % 3 === 0 ? null : { maxSize: 5 + n } } } });
      items.call(String(n));
    }
    items.update();
    expect(items.sent().flat()).toHaveLength(100);
    expect(listenersOf(items.state.closed)).toBe(0);
    for (const _ of items.batches.calls) items.batches.fail(aFailure());
    await setImmediate();
    expect(items.clock.pending).toBe(0);
  });

  test("go the way that their batches' method goes when they are gathered", async () => {
    const items = new LiveItems({ maxSize: 10, maxWaitMs: 50 });
    items.call("a");
    items.update({ methods: { batchGetItems: { timeoutMs: 70 } } });
    await items.clock.advance(50);
    items.call("b");
    await items.clock.advance(50);
    expect(items.batches.calls.map(({ startedAt, deadline }) => deadline - startedAt)).toEqual([9_950, 70]);
  });
});

describe("the observer", () => {
  const updates = (events: readonly ObserverEvent[]) =>
    events.filter((event) => event.type === "policy" && event.policy === "policies");

  test("is told of an update, and which methods it is about", () => {
    const orders = new LiveOrders();
    orders.update({ service: { timeoutMs: 50 }, methods: { listOrders: { timeoutMs: 60 } } });
    const methods = "createOrder, getOrder, listOrders, importOrders";
    expect(updates(orders.events)).toEqual([
      {
        type: "policy",
        policy: "policies",
        action: "updated",
        detail: { service: "shop.orders.v1.OrderService", methods },
      },
    ]);
  });

  test("is told of one that is about what the target's calls share alone", () => {
    const orders = new LiveOrders();
    orders.update({ service: { retryBudget: { ratio: 0.5 } } });
    expect(updates(orders.events)).toMatchObject([{ detail: { methods: "" } }]);
  });

  test("is not told of one that says nothing new", () => {
    const orders = new LiveOrders(RETRIED);
    orders.update();
    orders.update({ methods: { getOrder: { retry: { maxAttempts: 3 }, cache: null } } });
    expect(updates(orders.events)).toEqual([]);
    expect(orders.installed).toEqual([]);
  });
});
