import { breakersOf, type ClientOptions, clientMiddleware, closeClient, createClient, type Observer } from "bowline";
import { createChannel, createClientFactory } from "nice-grpc";
import { onTestFinished } from "vitest";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../src/contract/contract.ts";
import type { BreakerPolicy, HeartbeatPolicy, ResumePolicy, RetryBudgetPolicy } from "../../src/contract/policy.ts";
import type { BreakerSnapshot } from "../../src/policy/breaker.ts";

/** What a test wants of the stream of orders. */
export interface WantedStream extends Partial<ResumePolicy> {
  /** Default: none. */
  readonly heartbeat?: Partial<HeartbeatPolicy>;
  /** Default: no breaker. */
  readonly breaker?: BreakerPolicy;
  /** Default: more than any test uses up. */
  readonly retryBudget?: RetryBudgetPolicy;
  readonly observer?: Observer;
  /** How long a connection may be silent, in milliseconds. Default: what the client has. */
  readonly keepaliveMs?: number;
}

/** A client whose streams resume, whichever way it was made. */
export interface StreamClient {
  readonly orders: OrderServiceClient;
  /** What the breaker of WatchOrders stands at. */
  breaker(): BreakerSnapshot | undefined;
}

const WATCH = "/shop.orders.v1.OrderService/WatchOrders";
/** Whatever a busy machine does, a connection that is refused is tried again soon. */
const RECONNECT: ClientOptions = { initialReconnectBackoffMs: 10, maxReconnectBackoffMs: 50 };

/** The orders contract in a hurry. */
function contractOf(wanted: WantedStream) {
  const { heartbeat, breaker = { disabled: true }, retryBudget, observer: _, keepaliveMs: __, ...resume } = wanted;
  return contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
    ...OrderService,
    service: { breaker, retryBudget: retryBudget ?? { ratio: 1, minInFlight: 1_000 } },
    methods: {
      ...OrderService.methods,
      watchOrders: {
        resume: {
          ...{ requestField: "after_revision", cursorField: "revision" },
          ...{ initialBackoffMs: 1, maxBackoffMs: 20, maxFailures: 1_000 },
          ...resume,
        },
        ...(heartbeat && { heartbeat: { field: "heartbeat", ...heartbeat } }),
      },
    },
  });
}

function viaCreateClient(target: string, wanted: WantedStream): StreamClient {
  const { observer, keepaliveMs } = wanted;
  const orders = createClient(contractOf(wanted), target, {
    ...RECONNECT,
    ...(observer && { observer }),
    ...(keepaliveMs !== undefined && { keepaliveTimeMs: keepaliveMs, keepaliveTimeoutMs: keepaliveMs }),
  });
  onTestFinished(() => closeClient(orders));
  return { orders, breaker: () => breakersOf(orders).snapshot()[WATCH] };
}

/** nice-grpc's own client; it differs from ours in types alone. */
function viaClientMiddleware(target: string, wanted: WantedStream): StreamClient {
  const { observer, keepaliveMs } = wanted;
  const middleware = clientMiddleware(contractOf(wanted), observer && { observer });
  const channel = createChannel(target, undefined, {
    ...{ "grpc.initial_reconnect_backoff_ms": 10, "grpc.max_reconnect_backoff_ms": 50 },
    ...(keepaliveMs !== undefined && {
      ...{ "grpc.keepalive_time_ms": keepaliveMs, "grpc.keepalive_timeout_ms": keepaliveMs },
    }),
  });
  onTestFinished(() => channel.close());
  const orders = createClientFactory().use(middleware).create(OrderServiceDefinition, channel);
  return {
    orders: orders as unknown as OrderServiceClient,
    breaker: () => breakersOf(middleware).snapshot()[WATCH],
  };
}

/** The ways to a client whose streams resume, until the test is over. */
export const streamWays: readonly (readonly [string, (target: string, wanted?: WantedStream) => StreamClient])[] = [
  ["createClient", (target, wanted = {}) => viaCreateClient(target, wanted)],
  ["clientMiddleware", (target, wanted = {}) => viaClientMiddleware(target, wanted)],
];

/** A handler that yields what comes after a revision up to the last one, and keeps what it was asked for. */
export function logUpTo(last: bigint) {
  const asked: bigint[] = [];
  const given: Pick<OrderServiceHandlers, "watchOrders"> = {
    async *watchOrders({ afterRevision }) {
      asked.push(afterRevision);
      for (let revision = afterRevision + 1n; revision <= last; revision += 1n) yield { revision };
    },
  };
  return { asked, given };
}

/** The revisions from 1 to the last one. */
export function upTo(last: bigint): bigint[] {
  return Array.from({ length: Number(last) }, (_, at) => BigInt(at + 1));
}
