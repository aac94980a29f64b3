import type { OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";

const WORKERS = 4;
/** At most so many calls of each worker, should they all fail at once. */
const MOST_CALLS = 10_000;

/** Reads and writes without a pause, until it is stopped. */
export class OrderLoad {
  /** Ids of the orders that it was told were created. */
  readonly created: string[] = [];
  readonly #work: Promise<unknown>;
  #stopped = false;

  constructor(orders: OrderServiceClient, customerId: string) {
    this.#work = Promise.all(Array.from({ length: WORKERS }, () => this.#run(orders, customerId)));
  }

  /** Makes no further calls; resolves when those under way have ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(orders: OrderServiceClient, customerId: string): Promise<void> {
    const items = [{ sku: "fender", quantity: 2, unitPriceCents: 3_490n }];
    for (let n = 0; n < MOST_CALLS && !this.#stopped; n++) {
      const call =
        n % 8 === 0
          ? orders.createOrder({ customerId, items }).then(({ orderId }) => this.created.push(orderId))
          : orders.getOrder({ orderId: `o-${1 + (n % 1_000)}` });
      // The tally has it if it fails.
      await call.catch(() => {});
    }
  }
}
