import { fail, type Settled, settleAll } from "bowline";
import { expect, expectTypeOf, test } from "vitest";
import type { Order } from "../../gen/shop/orders/v1/orders.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";

/** A server that answers, refuses, or waits until it is cancelled, as the order's id says. */
async function served() {
  const cancelled: string[] = [];
  const came: string[] = [];
  const waits = gate();
  const { port } = await serveOrders({
    async getOrder({ orderId = "" }, { signal, deadlineAt }) {
      came.push(orderId);
      if (orderId === "missing") fail("NOT_FOUND", "no such order");
      if (orderId !== "slow") return { orderId, customerId: deadlineAt === Number.POSITIVE_INFINITY ? "-" : "in time" };
      waits.resolve();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      cancelled.push(orderId);
      return { orderId };
    },
  });
  const until = async (count: number) => {
    while (cancelled.length < count) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  return { orders: connectOrders(port), came, waits: waits.promise, until };
}

test("each call has its own answer or error, and its own type", async () => {
  const { orders } = await served();
  const settled = await settleAll(
    {
      order: (options) => orders.getOrder({ orderId: "o-1" }, options),
      missing: (options) => orders.getOrder({ orderId: "missing" }, options),
      count: () => Promise.resolve(3),
    },
    { timeoutMs: 5_000 },
  );
  expectTypeOf(settled.order).toEqualTypeOf<Settled<Order>>();
  expectTypeOf(settled.count).toEqualTypeOf<Settled<number>>();
  expect(settled).toMatchObject({
    order: { ok: true, value: { orderId: "o-1", customerId: "in time" } },
    missing: { ok: false, error: { reason: "STATUS", details: "no such order", attempts: 1 } },
    count: { ok: true, value: 3 },
  });
});

test("when the time of all is over, what is under way ends on the wire, and what has not begun is never sent", async () => {
  const { orders, came, until } = await served();
  await orders.getOrder({ orderId: "connect" });
  const settled = await settleAll(
    {
      fast: (options) => orders.getOrder({ orderId: "fast" }, options),
      slow: ({ signal }) => orders.getOrder({ orderId: "slow" }, { signal }),
      late: (options) => orders.getOrder({ orderId: "late" }, options),
    },
    { timeoutMs: 400, maxConcurrent: 1 },
  );
  expect(settled).toMatchObject({
    fast: { ok: true },
    slow: { error: { reason: "DEADLINE_EXCEEDED" } },
    late: { error: { reason: "DEADLINE_BEFORE_SEND", attempts: 0 } },
  });
  await until(1);
  expect(came).toEqual(["connect", "fast", "slow"]);
});

test("a failure cancels its siblings on the wire", async () => {
  const { orders, waits, until } = await served();
  const settled = await settleAll(
    {
      slow: (options) => orders.getOrder({ orderId: "slow" }, options),
      missing: (options) => waits.then(() => orders.getOrder({ orderId: "missing" }, options)),
    },
    { cancelOnError: ({ details }) => details === "no such order" },
  );
  expect(settled).toMatchObject({
    slow: { error: { reason: "CANCELLED", details: 'cancelled, since "missing" failed' } },
    missing: { error: { details: "no such order" } },
  });
  await until(1);
});

test("the caller's own abort reaches all of them, and is what it rejects with", async () => {
  const { orders, waits, until } = await served();
  const controller = new AbortController();
  const slow = settleAll(
    { slow: (options) => orders.getOrder({ orderId: "slow" }, options) },
    { signal: controller.signal },
  );
  await waits;
  controller.abort("gone");
  expect(await rejection(slow)).toBe("gone");
  await until(1);
});
