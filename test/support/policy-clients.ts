import {
  breakersOf,
  circuitBreaker,
  clientMiddleware,
  closeClient,
  createClient,
  hedge,
  type Observer,
  retry,
} from "bowline";
import { type ClientMiddleware, createChannel, createClientFactory } from "nice-grpc";
import { onTestFinished } from "vitest";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../src/contract/contract.ts";
import type {
  BreakerPolicy,
  HedgePolicy,
  RetryBudgetPolicy,
  RetryPolicy,
  RetryThrottlingPolicy,
} from "../../src/contract/policy.ts";
import type { CallOptions } from "../../src/core/call-options.ts";
import type { BreakerSnapshot } from "../../src/policy/breaker.ts";
import type { Breakers } from "../../src/policy/breaker-set.ts";

/** What a test wants of a client. */
export interface Wanted {
  /** Default: no retry. */
  readonly retry?: RetryPolicy;
  /** Of unary calls. Default: no hedges. */
  readonly hedge?: HedgePolicy;
  readonly maxAttemptsLimit?: number;
  readonly retryThrottling?: RetryThrottlingPolicy;
  readonly retryBudget?: RetryBudgetPolicy;
  /** Default: no breaker. */
  readonly breaker?: BreakerPolicy;
  readonly observer?: Observer;
}

/** A client, whichever way it was made. */
export interface PolicyClient {
  readonly orders: OrderServiceClient;
  /** Fails where there are none. */
  breakers(): Breakers;
}

type Connect = (port: number, wanted: Wanted) => PolicyClient;

/** Time enough for a machine that is busy with other tests. */
const TIMEOUT_MS = 10_000;

/** The orders contract with the same policies for unary calls and streams, and no others. */
function wantedContract({ retry, hedge, retryThrottling, retryBudget, breaker = { disabled: true } }: Wanted) {
  const policy = { timeoutMs: TIMEOUT_MS, ...(retry && { retry }) };
  return contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
    ...OrderService,
    service: { breaker, ...(retryThrottling && { retryThrottling }), ...(retryBudget && { retryBudget }) },
    methods: { getOrder: { ...policy, ...(hedge && { hedge }) }, listOrders: policy },
  });
}

function pipelineOptions({ observer, maxAttemptsLimit }: Wanted) {
  return { ...(observer && { observer }), ...(maxAttemptsLimit !== undefined && { maxAttemptsLimit }) };
}

/** nice-grpc's own client; it differs from ours in types alone. */
function niceClient(port: number, middlewares: readonly ClientMiddleware[]): OrderServiceClient {
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  const factory = middlewares.reduce((factory, middleware) => factory.use(middleware), createClientFactory());
  return factory.create(OrderServiceDefinition, channel) as unknown as OrderServiceClient;
}

/** A client of `createClient`'s with such policies. */
export function viaCreateClient(port: number, wanted: Wanted): PolicyClient {
  const orders = createClient(wantedContract(wanted), `127.0.0.1:${port}`, pipelineOptions(wanted));
  onTestFinished(() => closeClient(orders));
  return { orders, breakers: () => breakersOf(orders) };
}

function viaClientMiddleware(port: number, wanted: Wanted): PolicyClient {
  const middleware = clientMiddleware(wantedContract(wanted), pipelineOptions(wanted));
  return { orders: niceClient(port, [middleware]), breakers: () => breakersOf(middleware) };
}

/** On nice-grpc alone, without a contract: the breaker first, since nice-grpc's first is the innermost. */
function viaSinglePolicies(port: number, wanted: Wanted): PolicyClient {
  const { breaker, retry: policy, hedge: hedging, retryThrottling, retryBudget, ...options } = wanted;
  const { maxAttemptsLimit: _, ...watched } = options;
  const shares = { ...(retryThrottling && { retryThrottling }), ...(retryBudget && { retryBudget }) };
  const guard = breaker && circuitBreaker({ ...breaker, ...watched });
  const repeat = policy && retry({ ...policy, ...shares, ...options });
  const hedged = hedging && hedge({ ...hedging, ...shares, ...options });
  const middlewares = [guard, repeat, hedged].filter((middleware) => middleware !== undefined);
  return { orders: niceClient(port, middlewares), breakers: () => breakersOf(guard ?? {}) };
}

/** The ways in that take their policies from a contract. */
export const contractWays: readonly (readonly [string, Connect])[] = [
  ["createClient", viaCreateClient],
  ["clientMiddleware", viaClientMiddleware],
];

/** All ways in. */
export const allWays: readonly (readonly [string, Connect])[] = [
  ...contractWays,
  ["single middlewares on nice-grpc alone", viaSinglePolicies],
];

/** Makes a call and reads all of it. */
export type MakeCall = (orders: OrderServiceClient, options?: CallOptions) => Promise<unknown>;

/** Calls of both kinds, each safe to repeat. */
export const callForms: readonly (readonly [string, MakeCall, string])[] = [
  ["unary", (orders, options) => orders.getOrder({}, options), "GetOrder"],
  ["server-stream", (orders, options) => Array.fromAsync(orders.listOrders({}, options)), "ListOrders"],
];

/** What the breaker of a method stands at. */
export function breakerOf(client: PolicyClient, method: string): BreakerSnapshot {
  const snapshot = client.breakers().snapshot()[`/${OrderService.name}/${method}`];
  if (!snapshot) throw new Error(`${method} has no breaker`);
  return snapshot;
}
