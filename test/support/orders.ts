import { type ClientOptions, closeClient, createClient } from "bowline";
import { createServer, deadlineInterceptor, type Server, type ServerOptions, serverMiddleware } from "bowline/server";
import { createServer as createNiceServer } from "nice-grpc";
import { onTestFinished } from "vitest";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { ordersHandlers } from "./handlers.ts";
import { PatientOrders } from "./patient-orders.ts";

export { ordersHandlers };

/** Serves the orders service with our server until the test is over. */
export async function serveOrders(
  given: Partial<OrderServiceHandlers>,
  options: ServerOptions = {},
  contract = OrderService,
): Promise<{ server: Server; port: number }> {
  const server = createServer({
    drainOn: [],
    idempotency: false,
    validation: false,
    authenticate: false,
    ...options,
  }).add(contract, ordersHandlers(given));
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return { server, port };
}

/** Serves the orders service with nice-grpc's server and our middleware until the test is over. */
export async function serveOrdersOnNice(
  given: Partial<OrderServiceHandlers>,
  options: ServerOptions = {},
  contract = OrderService,
): Promise<{ port: number }> {
  const server = createNiceServer({ interceptors: [deadlineInterceptor] }).use(
    serverMiddleware(contract, { idempotency: false, validation: false, authenticate: false, ...options }),
  );
  server.add(contract.definition, ordersHandlers(given) as never);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(() => server.forceShutdown());
  return { port };
}

/** Calls the orders service on loopback until the test is over. */
export function connectOrders(
  port: number,
  options: ClientOptions = {},
  contract = PatientOrders,
): OrderServiceClient & Disposable {
  const client = createClient(contract, `127.0.0.1:${port}`, options);
  onTestFinished(() => closeClient(client));
  return client;
}

/** What a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`expected a rejection, got ${String(value)}`);
    },
    (error: unknown) => error,
  );
}

/** A promise that a test settles. */
export function gate<T = void>(): PromiseWithResolvers<T> {
  return Promise.withResolvers<T>();
}
