import { contract } from "bowline/runtime/v1";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { CreateOrderRequest } from "../../gen/shop/orders/v1/orders.ts";
import { order } from "../message.ts";

/** The method that is called: its request has constraints, and its calls idempotency keys. */
export const CREATE_ORDER = "/shop.orders.v1.OrderService/CreateOrder";

/** What a caller must be allowed, where that is asked. */
export const SCOPE = "orders.write";

/** The shop's orders, with CreateOrder for callers with these scopes. */
export function ordersFor(scopes: readonly string[]) {
  const createOrder = { ...OrderService.methods.createOrder, auth: { scopes } };
  return contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
    ...OrderService,
    methods: { ...OrderService.methods, createOrder },
  });
}

/** Requests on the wire: five items, and the same with a quantity of none of the last. */
export const requests = {
  right: encoded(order.items),
  wrong: encoded(order.items.map((item, index) => (index === 4 ? { ...item, quantity: 0 } : item))),
} as const;

function encoded(items: CreateOrderRequest["items"]): Buffer {
  return Buffer.from(CreateOrderRequest.encode({ customerId: order.customerId, items }).finish());
}
