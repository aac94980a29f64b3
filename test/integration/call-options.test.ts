import {
  breakersOf,
  circuitBreaker,
  clientMiddleware,
  createClient,
  idempotencyKey,
  type ObserverEvent,
  Status,
} from "bowline";
import { createChannel, createClientFactory } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { Order } from "../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../src/contract/contract.ts";
import { rejection, serveOrders } from "../support/orders.ts";

const Orders: typeof OrderService = contract({
  ...OrderService,
  service: {},
  methods: { getOrder: { retry: {}, breaker: {} }, listOrders: { retry: {} } },
});

/** Serves every method, and counts what reaches it. */
async function serve() {
  const served: (string | undefined)[] = [];
  const answer = async (_: unknown, { metadata }: { metadata: { get(key: string): unknown } }) => {
    served.push(metadata.get("idempotency-key") as string | undefined);
    return Order.create();
  };
  const { port } = await serveOrders({ getOrder: answer, createOrder: answer }, {}, Orders);
  return { served, target: `127.0.0.1:${port}` };
}

interface Watched {
  readonly orders: OrderServiceClient;
  readonly events: ObserverEvent[];
  /** How many outcomes the breakers have counted. */
  readonly counted: () => number;
}

const countedBy = (guarded: object) => () =>
  Object.values(breakersOf(guarded).snapshot()).reduce((sum, { calls, failures }) => sum + calls + failures, 0);

const ways: Readonly<Record<"createClient" | "clientMiddleware", (target: string) => Watched>> = {
  createClient(target) {
    const events: ObserverEvent[] = [];
    const observer = (event: ObserverEvent) => void events.push(event);
    const orders = createClient(Orders, target, { observer, fallback: { getOrder: () => Order.create() } });
    onTestFinished(() => orders[Symbol.dispose]());
    return { orders, events, counted: countedBy(orders) };
  },
  clientMiddleware(target) {
    const events: ObserverEvent[] = [];
    const observer = (event: ObserverEvent) => void events.push(event);
    const channel = createChannel(target);
    onTestFinished(() => channel.close());
    const middleware = clientMiddleware(Orders, { observer, fallback: { getOrder: () => Order.create() } });
    // Outside of it, and so told of what it throws.
    const breaker = circuitBreaker({ minimumCalls: 1, failureRatio: 0.01 });
    const factory = createClientFactory().use(middleware).use(breaker);
    const orders = factory.create(Orders.definition, channel) as unknown as OrderServiceClient;
    return { orders, events, counted: () => countedBy(middleware)() + countedBy(breaker)() };
  },
};

describe.each(Object.entries(ways))("%s", (_, connect) => {
  test("options that are none count for nothing: no fallback, attempt, event or outcome", async () => {
    const { served, target } = await serve();
    const { orders, events, counted } = connect(target);
    const options = { maxAttempts: 0, timeoutMs: "20", retry: "false" } as never;
    const text =
      'maxAttempts must be a whole number of at least 1; it is 0; timeoutMs must be a number of milliseconds; it is "20"; retry must be true or false; it is "false"';
    for (const call of [orders.getOrder({}, options), Array.fromAsync(orders.listOrders({}, options))]) {
      expect(await rejection(call)).toBeInstanceOf(TypeError);
      expect(await rejection(call)).toMatchObject({ message: expect.stringMatching(/^\/shop\.orders\.v1\.[^:]+: /) });
      expect(await rejection(call)).toMatchObject({ message: expect.stringContaining(`: ${text}`) });
    }
    expect([served, events, counted()]).toEqual([[], [], 0]);
  });

  test("a key that would not be sent is refused", async () => {
    const { served, target } = await serve();
    const { orders } = connect(target);
    const error = await rejection(orders.createOrder({}, { idempotencyKey: "order-7" }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({
      message: expect.stringContaining("/shop.orders.v1.OrderService/CreateOrder: idempotencyKey would not be sent"),
    });
    const watched = orders.watchOrders({}, { idempotencyKey: "order-7" });
    expect(await rejection(Array.fromAsync(watched))).toBeInstanceOf(TypeError);
    expect(served).toEqual([]);
  });
});

test.each(Object.entries(ways))("a call without a request says so: %s", async (_, connect) => {
  const { served, target } = await serve();
  const { orders } = connect(target);
  for (const call of [orders.getOrder(undefined as never), Array.fromAsync(orders.listOrders(null as never))]) {
    const error = (await rejection(call)) as Error;
    expect(error.message).toMatch(/^\/shop\.orders\.v1\.OrderService\/\w+\b/);
    expect(error).toMatchObject({ reason: "REQUEST_NOT_ENCODABLE", attempts: 0 });
    expect(error.message).toContain("the request cannot be encoded: there is none; a call takes a message, {} if it");
  }
  expect(served).toEqual([]);
});

test.each(Object.entries(ways))(
  "metadata that its server does not take is named as the cause: %s",
  async (_, connect) => {
    const { served, target } = await serve();
    const { orders } = connect(target);
    const error = await rejection(orders.createOrder({}, { metadata: { much: "x".repeat(20_000) } }));
    expect(error).toMatchObject({
      reason: "TRANSPORT",
      code: Status.RESOURCE_EXHAUSTED,
      details: expect.stringContaining("its metadata is more than the server takes"),
      cause: new Error("Bandwidth exhausted or memory limit exceeded"),
    });
    expect(served).toEqual([]);
  },
);

test("a client that takes keys from idempotencyKey() sends them, though its contract has none", async () => {
  const { served, target } = await serve();
  const keys = idempotencyKey(Orders.definition, { methods: ["createOrder"] });
  using orders = createClient(Orders, target, { use: [keys] });
  await orders.createOrder({}, { idempotencyKey: "order-7" });
  expect(served).toEqual(["order-7"]);
});
