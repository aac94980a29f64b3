import { createClient, RpcError } from "bowline";
import { Health } from "../../../gen/health/v1/health.contract.ts";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../../gen/health/v1/health.ts";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { ServiceProcess } from "../processes.ts";

/** Writes down what a health watcher is told, and with what reason its stream ends. */
export async function watchHealth(replica: ServiceProcess, told: string[]): Promise<void> {
  using health = createClient(Health, replica.target);
  try {
    for await (const { status } of health.watch({ service: OrderService.name }))
      told.push(status === ServingStatus.SERVING ? "SERVING" : "NOT_SERVING");
    told.push("OK");
  } catch (error) {
    told.push(RpcError.from(error).reason);
  }
}
