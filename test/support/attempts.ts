import { clientMiddleware, type PipelineOptions } from "bowline";
import { createChannel, createClientFactory } from "nice-grpc";
import { onTestFinished } from "vitest";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { connectOrders } from "./orders.ts";
import { PatientOrders } from "./patient-orders.ts";

type Connect = (port: number, options?: PipelineOptions) => OrderServiceClient;

/** The two ways into the pipeline, over our own transport and inside nice-grpc, for a contract of the orders service. */
function waysIn(contract: typeof PatientOrders): Record<"createClient" | "clientMiddleware", Connect> {
  return {
    createClient: (port, options) => connectOrders(port, options, contract),
    clientMiddleware(port, options) {
      const channel = createChannel(`127.0.0.1:${port}`);
      onTestFinished(() => channel.close());
      const factory = createClientFactory().use(clientMiddleware(contract, options));
      // nice-grpc's client differs in types alone: its streams are plain async iterables, made by async generators.
      return factory.create(contract.definition, channel) as unknown as OrderServiceClient;
    },
  };
}

/** Clients with time enough. */
export const clients: Record<string, Connect> = waysIn(PatientOrders);

/** Clients with the contract's own timeouts, for tests of these. */
export const contractClients: Record<string, Connect> = waysIn(OrderService);
