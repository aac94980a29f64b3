import { fail, RpcError, Status } from "bowline";
import type { OrderServiceHandlers } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { CreateOrderRequest } from "../../../gen/shop/orders/v1/orders.ts";
import type { UserServiceClient } from "../../../gen/shop/users/v1/users.contract.ts";
import type { OrderFeed } from "./feed.ts";
import type { OrderStore } from "./store.ts";
import { totalOf } from "./total.ts";

/** The most orders that one import takes: they are kept in memory until the last one came. */
const MOST_IMPORTED = 10_000;

/** What the orders service does, with requests that keep to their contract's constraints. It asks the users service who its customers are. */
export function orderHandlers(
  store: OrderStore,
  feed: OrderFeed,
  users: Pick<UserServiceClient, "getUser">,
): OrderServiceHandlers {
  return {
    async createOrder(request, { idempotency }) {
      await checkCustomer(users, request.customerId);
      return store.createOnce(request, idempotency);
    },

    async getOrder({ orderId }) {
      return store.get(orderId) ?? fail("NOT_FOUND", `there is no order ${JSON.stringify(orderId)}`);
    },

    async *listOrders({ customerId, limit }) {
      yield* store.list(customerId, limit || undefined);
    },

    watchOrders({ customerId, afterRevision }, context) {
      // Out of another history than the database has, as after a restore: to wait for what follows would skip events.
      if (afterRevision > store.lastRevision()) fail("OUT_OF_RANGE", `there is no revision ${afterRevision}`);
      // So that the client knows that its stream stands, however long it takes until something happens.
      context.sendHeader();
      const { signal } = context;
      return customerId
        ? feed.ofCustomer(customerId, afterRevision, signal)
        : feed.events.subscribe({ after: afterRevision, signal });
    },

    async importOrders(requests) {
      const orders: CreateOrderRequest[] = [];
      const known = new Set<string>();
      for await (const { order } of requests) {
        // The contract's constraints see to it; its types do not know.
        if (!order) throw new TypeError("a message without an order");
        if (orders.length === MOST_IMPORTED)
          fail("RESOURCE_EXHAUSTED", `more than ${MOST_IMPORTED} orders in one import`);
        if (!known.has(order.customerId)) await checkCustomer(users, order.customerId);
        known.add(order.customerId);
        orders.push(order);
      }
      const created = store.createAll(orders);
      return { imported: created.length, totalCents: created.reduce((sum, order) => sum + order.totalCents, 0n) };
    },

    async *quoteBaskets(baskets) {
      for await (const { items } of baskets) {
        yield { totalCents: totalOf(items) };
      }
    },
  };
}

async function checkCustomer(users: Pick<UserServiceClient, "getUser">, userId: string): Promise<void> {
  try {
    await users.getUser({ userId });
  } catch (error) {
    if (error instanceof RpcError && error.code === Status.NOT_FOUND)
      fail("FAILED_PRECONDITION", `there is no customer ${JSON.stringify(userId)}`, { cause: error });
    throw error;
  }
}
