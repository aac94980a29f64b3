import { EventEmitter, on } from "node:events";
import { createServer } from "bowline/server";
import { type Broadcast, createBroadcast } from "bowline/stream";
import { createServer as createNiceServer } from "nice-grpc";
import { OrderService, type OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import type { OrderEvent } from "../../gen/shop/orders/v1/orders.ts";
import { handlers } from "../stacks/handlers.ts";

/** One way to serve a source of events to many streams. */
export interface Variant {
  readonly title: string;
  /** Serves WatchOrders on loopback; resolves with the port. */
  serve(): Promise<number>;
  publish(event: OrderEvent): void;
  /** How many messages the subscriber furthest behind has unread; 0 if nobody knows. */
  lag(): number;
}

type Watch = (
  events: Broadcast<OrderEvent, bigint>,
  signal: AbortSignal,
) => ReturnType<OrderServiceHandlers["watchOrders"]>;

/** A broadcast on our server, with a handler of this kind. */
function broadcasting(title: string, watch: Watch): Variant {
  const events = createBroadcast<OrderEvent, bigint>({ cursorOf: ({ revision }) => revision });
  return {
    title,
    serve: () =>
      createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false })
        .add(OrderService, { ...handlers, watchOrders: (_, { signal }) => watch(events, signal) })
        .listen("127.0.0.1:0"),
    publish: (event) => void events.publish(event),
    lag: () => events.stats().lag,
  };
}

async function* yielded(events: AsyncIterable<OrderEvent>, change: (event: OrderEvent) => OrderEvent) {
  for await (const event of events) yield change(event);
}

/** What people do without a broadcast: an emitter, and Node's own queue for each stream. */
function emitting(): Variant {
  const emitter = new EventEmitter().setMaxListeners(0);
  return {
    title: "bare nice-grpc, `events.on(emitter)` for each stream",
    serve() {
      const server = createNiceServer();
      const watchOrders = async function* (_: unknown, { signal }: { signal: AbortSignal }) {
        for await (const [event] of on(emitter, "event", { signal })) yield event as OrderEvent;
      };
      server.add(OrderService.definition, { ...handlers, watchOrders });
      return server.listen("127.0.0.1:0");
    },
    publish: (event) => void emitter.emit("event", event),
    lag: () => 0,
  };
}

/** All of them by name; each is made in a process of its own. */
export const variants: Readonly<Record<string, () => Variant>> = {
  returned: () => broadcasting("broadcast, returned by its handler", (events, signal) => events.subscribe({ signal })),
  yielded: () =>
    broadcasting("broadcast, yielded by its handler", (events, signal) =>
      yielded(events.subscribe({ signal }), (event) => event),
    ),
  copied: () =>
    broadcasting("the same handler, which yields a copy: encoded for each", (events, signal) =>
      yielded(events.subscribe({ signal }), (event) => ({ ...event })),
    ),
  emitter: emitting,
};
