import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Order } from "../../../gen/shop/orders/v1/orders.ts";
import { listenersOf } from "../../support/driven.ts";
import { LiveItems } from "../../support/live-items.ts";
import { LiveOrders } from "../../support/live-orders.ts";
import { aFailure } from "../../support/retrying.ts";

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
