import { describe, expect, test } from "vitest";
import { Status } from "../../../src/core/status.ts";
import { LiveOrders, type OrderChanges } from "../../support/live-orders.ts";
import { aFailure } from "../../support/retrying.ts";

const GET_ORDER = "/shop.orders.v1.OrderService/GetOrder";
const LIST_ORDERS = "/shop.orders.v1.OrderService/ListOrders";

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
