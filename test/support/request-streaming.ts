import { breakersOf, type CallOptions, type ClientOptions, clientMiddleware, closeClient, createClient } from "bowline";
import { createChannel, createClientFactory } from "nice-grpc";
import { onTestFinished } from "vitest";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import type { Breakers } from "../../src/policy/breaker-set.ts";
import type { OrderPolicies } from "./live-orders.ts";
import { gate } from "./orders.ts";

type Handlers = Partial<OrderServiceHandlers>;
type Context = Parameters<OrderServiceHandlers["importOrders"]>[1];
type Serve = (requests: AsyncIterable<unknown>, context: Context) => Promise<void>;
type Requests = AsyncIterable<{ readonly order?: { readonly customerId: string } }>;

/** The two methods that stream requests: how each is called, and served by what does the same for both. */
export const KINDS = [
  [
    "client-stream",
    (orders: OrderServiceClient, requests: Requests, options?: CallOptions) => orders.importOrders(requests, options),
    (serve: Serve): Handlers => ({
      async importOrders(requests, context) {
        await serve(requests, context);
        return {};
      },
    }),
  ],
  [
    "bidi",
    // What a bidi call sends for an import, a quote takes for a basket without items.
    (orders: OrderServiceClient, requests: Requests, options?: CallOptions) =>
      Array.fromAsync(orders.quoteBaskets(requests as AsyncIterable<object>, options)),
    (serve: Serve): Handlers => ({
      async *quoteBaskets(requests, context) {
        await serve(requests, context);
        yield {};
      },
    }),
  ],
] as const;

/** Requests without end, with a count of them, and word of when they were let go of. */
export function endless(bytes = 100_000) {
  const state = { yielded: 0, released: gate() };
  // Fields of both kinds of requests.
  const request = { order: { customerId: "x".repeat(bytes) }, items: [{ sku: "x".repeat(bytes) }] };
  async function* generate() {
    try {
      for (; ; state.yielded += 1) yield request;
    } finally {
      state.released.resolve();
    }
  }
  return { state, requests: generate() };
}

/** One request and then none, without an end; and word of when their iterator's `return` is called. */
export function oneRequest() {
  const released = gate();
  const asked: Promise<IteratorResult<object, undefined>>[] = [Promise.resolve({ done: false, value: {} })];
  const requests: AsyncIterable<object> = {
    [Symbol.asyncIterator]: () => ({
      next: () => asked.shift() ?? new Promise(() => {}),
      async return() {
        released.resolve();
        return { done: true, value: undefined };
      },
    }),
  };
  return { released, requests };
}

/** A client of orders with policies of a test's own, whichever way it was made. */
export interface StreamingClient {
  readonly orders: OrderServiceClient;
  readonly breakers: Breakers;
}

function contractOf({ service = {}, methods = {} }: OrderPolicies) {
  return contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
    ...OrderService,
    service,
    methods,
  });
}

type ConnectStreaming = (
  port: number,
  policies: OrderPolicies,
  channelOptions?: ClientOptions["channelOptions"],
) => StreamingClient;

/** The ways to such a client, until the test is over. */
export const streamingWays: Record<"createClient" | "clientMiddleware", ConnectStreaming> = {
  createClient(port, policies, channelOptions = {}) {
    const orders = createClient(contractOf(policies), `127.0.0.1:${port}`, { channelOptions });
    onTestFinished(() => closeClient(orders));
    return { orders, breakers: breakersOf(orders) };
  },
  clientMiddleware(port, policies, channelOptions = {}) {
    const channel = createChannel(`127.0.0.1:${port}`, undefined, channelOptions);
    onTestFinished(() => channel.close());
    const middleware = clientMiddleware(contractOf(policies));
    const orders = createClientFactory().use(middleware).create(OrderService.definition, channel);
    // nice-grpc's client differs in types alone.
    return { orders: orders as unknown as OrderServiceClient, breakers: breakersOf(middleware) };
  },
};
