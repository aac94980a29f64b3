import { clientMiddleware, createClient, type FallbacksOf, type RpcError } from "bowline";
import { expect, expectTypeOf, test } from "vitest";
import { OrderService, type OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";
import { Order } from "../../../gen/shop/orders/v1/orders.ts";

/** A client has the same fallbacks, whichever way it is made. */
const ways = {
  createClient: (fallback: FallbacksOf<OrderServiceClient>) =>
    createClient(OrderService, "127.0.0.1:1", { fallback })[Symbol.dispose](),
  clientMiddleware: (fallback: FallbacksOf<OrderServiceClient>) => void clientMiddleware(OrderService, { fallback }),
};

test("a fallback is given its method's request and the error, and returns a whole response", () => {
  clientMiddleware(OrderService, {
    fallback: {
      getOrder(request, error) {
        expectTypeOf(request.orderId).toEqualTypeOf<string | undefined>();
        expectTypeOf(error).toEqualTypeOf<RpcError>();
        return Order.create();
      },
    },
  });
  expectTypeOf<ReturnType<NonNullable<FallbacksOf<OrderServiceClient>["getOrder"]>>>().toEqualTypeOf<Order>();
});

/** What only the types can tell before a call falls back. */
const untold: Record<string, FallbacksOf<OrderServiceClient>> = {
  // @ts-expect-error: a response has all of its fields
  "a part of a response": { getOrder: ({ orderId = "" }) => ({ orderId }) },
  // @ts-expect-error: it answers at once
  "a promise": { getOrder: async () => Order.create() },
  // @ts-expect-error: it answers
  nothing: { getOrder: () => undefined },
  // @ts-expect-error: the request has no such field
  "another request's field": { getOrder: ({ customerId = "" }) => Order.create({ customerId }) },
  // @ts-expect-error: an error has a reason
  "another error's field": { getOrder: (_, { because }) => Order.create({ customerId: because }) },
};

test.each(Object.entries(untold))("%s is refused by the types alone", (_, fallback) => {
  for (const make of Object.values(ways)) expect(() => make(fallback)).not.toThrow();
});

const told: [string, FallbacksOf<OrderServiceClient>, string][] = [
  // @ts-expect-error: the contract has no such method
  ["a method that is not there", { getOder: () => Order.create() }, "fallback.getOder: no such method"],
  // @ts-expect-error: a stream has no one response
  ["a server-stream", { listOrders: () => Order.create() }, "fallback.listOrders: only for a unary method"],
  // @ts-expect-error: a stream of requests is gone when the call has failed
  ["a client-stream", { importOrders: () => ({}) }, "fallback.importOrders: only for a unary method"],
  // @ts-expect-error: a stream is neither
  ["a bidi stream", { quoteBaskets: () => ({}) }, "fallback.quoteBaskets: only for a unary method"],
  // @ts-expect-error: an answer is made for each request
  ["an answer that is no function", { getOrder: Order.create() }, "fallback.getOrder must be a function"],
  // The types do not know of side effects.
  ["a method that writes", { createOrder: () => Order.create() }, "fallback.createOrder: only for a unary method"],
];

test.each(told)("%s is refused by the types, and when a client is made", (_, fallback, problem) => {
  for (const make of Object.values(ways)) expect(() => make(fallback)).toThrow(problem);
});

test("fallbacks do not say what a client is: the contract does", () => {
  // @ts-expect-error: the contract has no such method
  expect(() => clientMiddleware(OrderService, { fallback: { getUser: () => ({}) } })).toThrow("no such method");
});
