import { setImmediate } from "node:timers/promises";
import { type Broadcast, createBroadcast, map } from "bowline/stream";
import { OrderEvent } from "../../../gen/shop/orders/v1/orders.ts";
import type { OrderStore } from "./store.ts";

/** How often it is looked for what other processes have written, in milliseconds. */
const LOOK_MS = 100;

/** What happens to orders, for everybody who watches: read from the database once, and encoded once. */
export class OrderFeed {
  readonly events: Broadcast<OrderEvent, bigint>;
  readonly #store: OrderStore;
  readonly #look: NodeJS.Timeout;
  #published: bigint;
  #isPublishing = false;
  #hasFailed = false;
  #isClosed = false;

  constructor(store: OrderStore) {
    this.#store = store;
    this.#published = store.lastRevision();
    this.events = createBroadcast<OrderEvent, bigint>({
      cursorOf: ({ revision }) => revision,
      startAfter: this.#published,
      history: 10_000,
      replay: (revision) => store.eventsAfter(revision, ""),
    });
    store.changes.on("change", this.#publish);
    this.#look = setInterval(() => {
      if (this.#hasFailed || store.changedElsewhere()) void this.#publish();
    }, LOOK_MS).unref();
  }

  /**
   * A customer's events after a revision. Every hundredth of the others' is a heartbeat there, with its revision, so that
   * a client whose customer buys little does not come back with a revision of long ago.
   */
  ofCustomer(customerId: string, after: bigint, signal: AbortSignal): AsyncIterable<OrderEvent> {
    const isTheirs = ({ order }: OrderEvent) => order?.customerId === customerId;
    let others = 0;
    const events = this.events.subscribe({
      after,
      signal,
      filter: (event) => isTheirs(event) || others++ % 100 === 0,
      replay: (revision) => this.#store.eventsAfter(revision, customerId),
    });
    return map(events, (event) => (isTheirs(event) ? event : progressTo(event.revision)));
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#look);
    this.#store.changes.off("change", this.#publish);
    this.events.close();
  }

  /**
   * Everything that was committed since, in order. After each page those who watch have a turn to read it, so that an
   * import of thousands leaves nobody far behind.
   */
  readonly #publish = async (): Promise<void> => {
    if (this.#isPublishing) return;
    this.#isPublishing = true;
    this.#hasFailed = false;
    try {
      while (this.#publishPage()) await setImmediate();
    } catch (error) {
      console.error("orders: what was committed could not be published, and is tried again:", error);
      this.#hasFailed = true;
    } finally {
      this.#isPublishing = false;
    }
  };

  /** @returns whether there may be more. */
  #publishPage(): boolean {
    if (this.#isClosed) return false;
    const events = this.#store.eventsAfter(this.#published, "");
    for (const event of events) {
      this.events.publish(event);
      this.#published = event.revision;
    }
    return events.length > 0;
  }
}

function progressTo(revision: bigint): OrderEvent {
  return OrderEvent.create({ revision, heartbeat: true });
}
