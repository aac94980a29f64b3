import type { OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";

/** Follows a customer's orders, and does nothing about a stream that breaks: the contract says what then. */
export class Watcher {
  /** The revisions of the events that came, in order. */
  readonly revisions: bigint[] = [];
  /** Orders that the events were about, in order. */
  readonly orderIds: string[] = [];
  /** What the stream ended with, unless it was left. */
  failure: unknown;

  /** Watches until the signal aborts. */
  async run(orders: OrderServiceClient, customerId: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const { revision, order } of orders.watchOrders({ customerId }, { signal })) {
        this.revisions.push(revision);
        this.orderIds.push(order?.orderId ?? "");
      }
      this.failure = "the stream ended by itself";
    } catch (error) {
      if (!signal.aborted) this.failure = error;
    }
  }
}
