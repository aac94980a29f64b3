import {
  createChannel,
  createClientFactory,
  createServer,
  ServerError,
  type ServiceImplementation,
  Status,
} from "nice-grpc";
import type { ClientMiddleware, ServerMiddleware } from "nice-grpc-common";
import { onTestFinished } from "vitest";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";

/** nice-grpc's own handlers of the orders service. */
export type NiceHandlers = ServiceImplementation<typeof OrderServiceDefinition>;

/** Serves orders with nice-grpc's own server until the test is over; whatever a test does not give is UNIMPLEMENTED. */
export async function serveNice(given: Partial<NiceHandlers>, ...middlewares: ServerMiddleware[]): Promise<number> {
  const server = middlewares.reduce((server, middleware) => server.use(middleware), createServer());
  const refused = () => {
    throw new ServerError(Status.UNIMPLEMENTED, "not in this test");
  };
  const names = Object.keys(OrderServiceDefinition.methods);
  const handlers = { ...Object.fromEntries(names.map((name) => [name, refused])), ...given };
  server.add(OrderServiceDefinition, handlers as unknown as NiceHandlers);
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(() => server.forceShutdown());
  return port;
}

/** nice-grpc's own client, with its middlewares; the first is the innermost. */
export function connectNice(port: number, ...middlewares: ClientMiddleware[]) {
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  const factory = middlewares.reduce((factory, middleware) => factory.use(middleware), createClientFactory());
  return factory.create(OrderServiceDefinition, channel);
}

/** nice-grpc's own client. */
export type NiceClient = ReturnType<typeof connectNice>;
