import { clientMiddleware, closeClient, createClient, type PipelineOptions } from "bowline";
import {
  createServer,
  deadlineInterceptor,
  type IdempotencyOptions,
  type ServerOptions,
  serverMiddleware,
} from "bowline/server";
import { createChannel, createClientFactory, createServer as createNiceServer, type ServerMiddleware } from "nice-grpc";
import { onTestFinished } from "vitest";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { ordersHandlers } from "./handlers.ts";

/** Where it is served. */
export const CREATE_ORDER = `/${OrderService.name}/CreateOrder`;

/** The orders contract with a key for CreateOrder, which is retried at once. */
export const KeyedOrders = contract<typeof OrderService.definition, OrderServiceClient, OrderServiceHandlers>({
  ...OrderService,
  service: { breaker: { disabled: true }, retryBudget: { minInFlight: 100 }, retryThrottling: { maxTokens: 1_000 } },
  methods: {
    createOrder: {
      timeoutMs: 10_000,
      idempotencyKey: {},
      retry: { maxAttempts: 5, initialBackoffMs: 1, maxBackoffMs: 1 },
    },
  },
});

/** What one order is served by. */
export type CreateOrder = OrderServiceHandlers["createOrder"];

/** Serves orders with a key until the test is over; gives the port. */
export type Serve = (
  createOrder: CreateOrder,
  idempotency: IdempotencyOptions,
  options?: Pick<ServerOptions, "observer" | "onError" | "use">,
) => Promise<number>;

/** Our server, and nice-grpc's with our middleware. */
export const servers: Readonly<Record<"createServer" | "serverMiddleware", Serve>> = {
  async createServer(createOrder, idempotency, options) {
    const server = createServer({
      drainOn: [],
      reflection: false,
      idempotency,
      validation: false,
      authenticate: false,
      ...options,
    });
    server.add(KeyedOrders, ordersHandlers({ createOrder }));
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    return server.listen("127.0.0.1:0");
  },
  async serverMiddleware(createOrder, idempotency, { use = [], ...options } = {}) {
    const ours = serverMiddleware(KeyedOrders, {
      idempotency,
      validation: false,
      authenticate: false,
      ...options,
    }) as ServerMiddleware;
    const bare = createNiceServer({ interceptors: [deadlineInterceptor] });
    const server = [...use, ours].reduce((server, middleware) => server.use(middleware), bare);
    server.add(KeyedOrders.definition, ordersHandlers({ createOrder }) as never);
    onTestFinished(() => server.forceShutdown());
    return server.listen("127.0.0.1:0");
  },
};

type Connect = (port: number, options?: PipelineOptions) => OrderServiceClient;

/** Our client, and nice-grpc's with our middleware. */
export const keyedClients: Readonly<Record<"createClient" | "clientMiddleware", Connect>> = {
  createClient(port, options) {
    const client = createClient(KeyedOrders, `127.0.0.1:${port}`, options);
    onTestFinished(() => closeClient(client));
    return client;
  },
  clientMiddleware(port, options) {
    const channel = createChannel(`127.0.0.1:${port}`);
    onTestFinished(() => channel.close());
    const factory = createClientFactory().use(clientMiddleware(KeyedOrders, options));
    return factory.create(KeyedOrders.definition, channel) as unknown as OrderServiceClient;
  },
};

/** nice-grpc's own client, which knows nothing of keys. */
export function bareClient(port: number) {
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  return createClientFactory().create(KeyedOrders.definition, channel);
}

/** A handler that counts its runs, and answers each with another order. */
export function counting(): { readonly createOrder: CreateOrder; readonly keys: (string | undefined)[] } {
  const keys: (string | undefined)[] = [];
  return {
    keys,
    async createOrder({ customerId }, { metadata }) {
      keys.push(metadata.get("idempotency-key"));
      return { orderId: `o-${keys.length}`, customerId, totalCents: 9_007_199_254_740_993n };
    },
  };
}
