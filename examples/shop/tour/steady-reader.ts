import { createHash, type Hash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { OrderServiceClient } from "../../../gen/shop/orders/v1/orders.contract.ts";

/** What one reader of a stream had in all. */
export interface Read {
  readonly count: number;
  /** Events that did not come after the one before. */
  readonly outOfOrder: number;
  /** Of all revisions, in the order in which they came: equal if and only if they are. */
  readonly digest: string;
}

/** Reads a customer's events one by one and keeps none of them, so that its memory tells whether the stream does. */
export class SteadyReader {
  count = 0;
  /** When the last event came, on the monotonic clock. */
  lastAt = performance.now();
  /** How long it works on each event, in milliseconds. */
  workMs = 0;
  /** What its stream ended with, unless it was left. */
  failure: unknown;
  #outOfOrder = 0;
  #last = 0n;
  readonly #hash: Hash = createHash("sha256");

  async run(orders: OrderServiceClient, customerId: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const { revision } of orders.watchOrders({ customerId }, { signal })) {
        if (revision <= this.#last) this.#outOfOrder++;
        this.#last = revision;
        this.#hash.update(`${revision},`);
        this.count++;
        this.lastAt = performance.now();
        if (this.workMs > 0) await sleep(this.workMs, undefined, { signal });
      }
      this.failure = "the stream ended by itself";
    } catch (error) {
      if (!signal.aborted) this.failure = error;
    }
  }

  read(): Read {
    return { count: this.count, outOfOrder: this.#outOfOrder, digest: this.#hash.copy().digest("hex") };
  }
}
