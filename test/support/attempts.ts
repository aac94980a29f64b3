import { clientMiddleware, type PipelineOptions } from "bowline";
import { createChannel, createClientFactory } from "nice-grpc";
import { onTestFinished } from "vitest";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { connectOrders } from "./orders.ts";

/** The two ways into the pipeline: over our own transport, and inside nice-grpc. */
export const clients: Record<string, (port: number, options?: PipelineOptions) => OrderServiceClient> = {
  createClient: connectOrders,
  clientMiddleware(port, options) {
    const channel = createChannel(`127.0.0.1:${port}`);
    onTestFinished(() => channel.close());
    const factory = createClientFactory().use(clientMiddleware(OrderService, options));
    // nice-grpc's client differs in types alone: its streams are plain async iterables, made by async generators.
    return factory.create(OrderService.definition, channel) as unknown as OrderServiceClient;
  },
};
