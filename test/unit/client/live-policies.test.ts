import { describe, expect, test } from "vitest";
import type { ObserverEvent } from "../../../src/core/observer.ts";
import { Status } from "../../../src/core/status.ts";
import { LiveOrders } from "../../support/live-orders.ts";
import { aFailure } from "../../support/retrying.ts";

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

  test("goes on as it was when an update states its defaults, and when that is left out again", async () => {
    const service = { ...RETRIED.service, throttle: {}, adaptiveLimit: {} };
    const orders = new LiveOrders({ ...RETRIED, service });
    await attemptsOf(orders);
    const { state } = orders;
    const { throttling, budget } = state.retryShare;
    const shared = () =>
      [throttling, budget, state.throttle({}), state.adaptiveLimit({})].map((machine) => machine.snapshot());
    const before = shared();
    expect(before).toMatchObject([{ tokens: 7 }, { calls: 1, extraAttempts: 2 }, { requests: 1 }, { limit: 20 }]);
    const throttle = { k: 2, windowMs: 120_000 };
    const adaptiveLimit = { initialLimit: 20, minLimit: 5, maxLimit: 200, tolerance: 1.5, smoothing: 0.2 };
    const retryBudget = { ratio: 0.1, windowMs: 10_000, minInFlight: 3 };
    orders.update({ service: { throttle, adaptiveLimit, retryBudget, retryThrottling: { maxTokens: 10 } } });
    expect(shared()).toEqual(before);
    orders.update();
    expect(shared()).toEqual(before);
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
