import { setImmediate } from "node:timers/promises";
import { type Broadcast, type BroadcastOptions, createBroadcast } from "bowline/stream";
import type { OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderEvent } from "../../gen/shop/orders/v1/orders.ts";

/** What a subscriber may be given besides its request. */
type Overrides = Partial<BroadcastOptions<OrderEvent, bigint>>;

/** A database of order events in memory, and a broadcast of what is committed to it. */
export class OrderEvents {
  readonly committed: OrderEvent[] = [];
  readonly broadcast: Broadcast<OrderEvent, bigint>;
  readonly #page: number;

  constructor(page = 50, options: Overrides = {}) {
    this.#page = page;
    this.broadcast = createBroadcast<OrderEvent, bigint>({
      cursorOf: ({ revision }) => revision,
      replay: (revision) => this.after(revision),
      ...options,
    });
  }

  /** A page of what was committed after a revision. */
  after(revision: bigint): OrderEvent[] {
    return this.committed.slice(Number(revision), Number(revision) + this.#page);
  }

  /** The handler of WatchOrders. */
  readonly watchOrders: OrderServiceHandlers["watchOrders"] = ({ customerId, afterRevision }, { signal }) =>
    this.broadcast.subscribe({
      after: afterRevision,
      signal,
      filter: customerId ? ({ order }) => order?.customerId === customerId : undefined,
    });

  /** Commits an event of a customer's order, and publishes it. */
  add(customerId: string, note = ""): void {
    const revision = BigInt(this.committed.length + 1);
    const order = { orderId: `o-${revision}${note}`, customerId };
    const event = OrderEvent.create({ revision, order });
    this.committed.push(event);
    this.broadcast.publish(event);
  }

  /** Adds so many events, a few in each turn of the event loop. */
  async addMany(count: number, customerOf: (index: number) => string, noteOf?: (index: number) => string) {
    for (let index = 0; index < count; index += 1) {
      this.add(customerOf(index), noteOf?.(index));
      if (index % 10 === 9) await setImmediate();
    }
  }

  /** The revisions of a customer's events, or of everybody's. */
  revisionsOf(customerId: string): bigint[] {
    const due = this.committed.filter(({ order }) => !customerId || order?.customerId === customerId);
    return due.map(({ revision }) => revision);
  }
}
