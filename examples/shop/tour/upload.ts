import type { OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";

/** An import that waits after its first order, so that its call is certainly under way. */
export class Upload {
  /** How many orders the service says it took; none if the call failed. */
  readonly imported: Promise<number>;
  readonly #goOn = Promise.withResolvers<void>();

  constructor(orders: OrderServiceClient, customerId: string) {
    this.imported = orders.importOrders(this.#orders(customerId)).then(
      ({ imported }) => imported,
      () => 0,
    );
  }

  /** Sends the second order, which is the last. */
  finish(): void {
    this.#goOn.resolve();
  }

  async *#orders(customerId: string) {
    const order = { customerId, items: [{ sku: "lantern", quantity: 1, unitPriceCents: 2_550n }] };
    yield { order };
    await this.#goOn.promise;
    yield { order };
  }
}
