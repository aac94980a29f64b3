import { RpcError } from "bowline";
import type { OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";

/** Follows a customer's orders; when a draining server ends the stream, it goes on elsewhere. */
export class Watcher {
  /** The revisions of the events that came, in order. */
  readonly revisions: bigint[] = [];
  /** Orders that the events were about, in order. */
  readonly orderIds: string[] = [];
  /** Whatever else ended a stream. */
  readonly failures: unknown[] = [];
  /** How many streams a draining server ended. */
  drained = 0;

  /** Watches until the signal aborts, or ten streams have failed. */
  async run(orders: OrderServiceClient, customerId: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.failures.length < 10) {
      const afterRevision = this.revisions.at(-1) ?? 0n;
      try {
        for await (const { revision, order } of orders.watchOrders({ customerId, afterRevision }, { signal })) {
          this.revisions.push(revision);
          this.orderIds.push(order?.orderId ?? "");
        }
        this.failures.push("the stream ended by itself");
      } catch (error) {
        if (error instanceof RpcError && error.reason === "DRAINING") this.drained++;
        else if (!signal.aborted) this.failures.push(error);
      }
    }
  }
}
