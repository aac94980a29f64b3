import {
  type Changes,
  clientMiddleware,
  closeClient,
  createClient,
  type MethodChanges,
  type MethodPolicy,
  type PolicyChanges,
  type RetryPolicy,
  type ServiceChanges,
  type ServicePolicy,
  updatePolicies,
} from "bowline";
import { createClientFactory } from "nice-grpc";
import { expect, expectTypeOf, onTestFinished, test } from "vitest";
import { OrderService, type OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { Criticality } from "../../../src/core/criticality.ts";

test("the types know the methods of the contract, and what can be said of each", () => {
  const client = createClient(OrderService, "127.0.0.1:1");
  onTestFinished(() => closeClient(client));
  const middleware = clientMiddleware(OrderService);
  const changes: PolicyChanges<OrderServiceClient> = { methods: { getOrder: { retry: null, timeoutMs: 200 } } };
  for (const owner of [client, middleware]) updatePolicies(owner, changes);
  const wrong = [
    // @ts-expect-error: the contract has no such method
    () => updatePolicies(client, { methods: { getOrders: {} } }),
    // @ts-expect-error: the contract has no such method, for a middleware either
    () => updatePolicies(middleware, { methods: { getOrders: {} } }),
    // @ts-expect-error: there is no such policy
    () => updatePolicies(client, { methods: { getOrder: { retries: {} } } }),
    // @ts-expect-error: there is no such setting
    () => updatePolicies(client, { methods: { getOrder: { retry: { attempts: 2 } } } }),
    // @ts-expect-error: null takes a policy away
    () => updatePolicies(client, { methods: { getOrder: { retry: false } } }),
    // @ts-expect-error: gRPC has no such status
    () => updatePolicies(client, { methods: { getOrder: { retry: { codes: ["DOWN"] } } } }),
    // @ts-expect-error: a method shares a breaker, or has its own
    () => updatePolicies(client, { methods: { getOrder: { breaker: { scope: "service" } } } }),
    // @ts-expect-error: fields are for the contract to name
    () => updatePolicies(client, { methods: { watchOrders: { resume: { cursorField: "id" } } } }),
    // @ts-expect-error: its heartbeats would be taken for messages
    () => updatePolicies(client, { methods: { watchOrders: { heartbeat: null } } }),
    // @ts-expect-error: a key is agreed on with the server
    () => updatePolicies(client, { methods: { createOrder: { idempotencyKey: null } } }),
    // @ts-expect-error: who may call is for the server to say
    () => updatePolicies(client, { methods: { getOrder: { auth: { public: true } } } }),
    // @ts-expect-error: how often is for the server to say
    () => updatePolicies(client, { service: { rateLimit: { calls: 5 } } }),
    // @ts-expect-error: what a server takes on is for the server to say
    () => updatePolicies(client, { service: { shed: null } }),
    // @ts-expect-error: nothing matters so much
    () => updatePolicies(client, { service: { criticality: "highest" } }),
    // @ts-expect-error: retries are of methods
    () => updatePolicies(client, { service: { retry: {} } }),
    // @ts-expect-error: of a client it is no method
    () => updatePolicies(client, { methods: { [Symbol.dispose]: {} } }),
  ];
  for (const update of wrong.slice(0, -1)) expect(update).toThrow(TypeError);
  createClientFactory().use(middleware);
});

test("an update can say all that a contract says, but for what is the server's or agreed on with it", () => {
  type UntoldOf<Policy, Told> = Exclude<keyof Policy, keyof Told>;
  expectTypeOf<UntoldOf<ServicePolicy, ServiceChanges>>().toEqualTypeOf<"auth" | "rateLimit" | "shed">();
  expectTypeOf<UntoldOf<MethodPolicy, MethodChanges>>().toEqualTypeOf<
    "auth" | "rateLimit" | "shed" | "idempotencyKey"
  >();
  expectTypeOf<UntoldOf<ServiceChanges, ServicePolicy>>().toBeNever();
  expectTypeOf<UntoldOf<MethodChanges, MethodPolicy>>().toBeNever();
  expectTypeOf<MethodChanges["retry"]>().toEqualTypeOf<Changes<RetryPolicy> | null | undefined>();
  expectTypeOf<ServiceChanges["timeoutMs"]>().toEqualTypeOf<number | null | undefined>();
  expectTypeOf<MethodChanges["criticality"]>().toEqualTypeOf<Criticality | null | undefined>();
});
