import { clientMiddleware, RpcError, retry, Status, updatePolicies } from "bowline";
import { createChannel, createClientFactory } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { Order } from "../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../src/contract/contract.ts";
import { serveOrders } from "../support/orders.ts";

const kept = { cache: { ttlMs: 60_000 }, retry: {} };
const Kept: typeof OrderService = contract({
  ...OrderService,
  service: {},
  methods: { ...OrderService.methods, getOrder: kept },
});

/** A client of nice-grpc with two of our middlewares, and what its server saw of its calls. */
async function aClient() {
  const seen: Record<string, unknown>[] = [];
  const answer = async (_: unknown, { metadata }: { metadata: { get(key: string): unknown } }) => {
    seen.push({ key: metadata.get("idempotency-key"), criticality: metadata.get("bowline-criticality") });
    return Order.create();
  };
  const never = () => new Promise<never>(() => {});
  const { port } = await serveOrders({ getOrder: answer, createOrder: answer, importOrders: never }, {}, Kept);
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  const factory = createClientFactory()
    .use(clientMiddleware(Kept))
    .use(retry({ maxAttempts: 2 }));
  return { seen, orders: factory.create(Kept.definition, channel) };
}

test("nice-grpc's client takes the call options of clientMiddleware", async () => {
  const { seen, orders } = await aClient();
  const ages: number[] = [];
  const deadline = new Date(Date.now() + 60_000);
  await orders.getOrder({ orderId: "o-1" }, { criticality: "sheddable", partition: "c-1", deadline, inherit: false });
  await orders.getOrder({ orderId: "o-1" }, { partition: "c-1", onCached: ({ ageMs }) => ages.push(ageMs) });
  await orders.getOrder({ orderId: "o-1" }, { partition: "c-1", cache: false, retry: false, maxAttempts: 1 });
  await orders.createOrder({ customerId: "c-1" }, { idempotencyKey: "k-1" });
  expect(ages).toHaveLength(1);
  expect(seen.map(({ criticality }) => criticality)).toEqual(["sheddable", undefined, undefined]);
  expect(seen.map(({ key }) => key)).toEqual([undefined, undefined, "k-1"]);
  const late = orders.importOrders((async function* () {})(), { timeoutMs: 5 });
  await expect(late).rejects.toMatchObject({ code: Status.DEADLINE_EXCEEDED });
  await expect(late).rejects.toBeInstanceOf(RpcError);
});

test("and no others, by their types", async () => {
  const { orders } = await aClient();
  const left = { signal: AbortSignal.abort(new Error("left")) };
  const watched = orders.watchOrders({}, { ...left, onExpired: (_, { signal }) => (signal.aborted ? undefined : {}) });
  await expect(Array.fromAsync(watched)).rejects.toThrow("left");
  const calls = [
    // @ts-expect-error: there is no such option
    orders.getOrder({}, { ...left, timeout: 5 }),
    // @ts-expect-error: nor such a criticality
    orders.getOrder({}, { ...left, criticality: "high" }),
    // @ts-expect-error: nice-grpc has no way for it
    orders.getOrder({}, { ...left, waitForReady: true }),
  ];
  for (const call of calls) await expect(call).rejects.toThrow("left");
});

test("a middleware knows its methods, for updates", () => {
  const middleware = clientMiddleware(OrderService);
  updatePolicies(middleware, { methods: { getOrder: { timeoutMs: 100 } } });
  // @ts-expect-error: the contract has no such method
  expect(() => updatePolicies(middleware, { methods: { getOder: { timeoutMs: 100 } } })).toThrow("getOder");
});
