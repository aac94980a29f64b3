import { setTimeout } from "node:timers/promises";
import { createChannel, createClient, createServer, Metadata } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import type { Order } from "../../gen/shop/orders/v1/orders.ts";
import { connectOrders, gate, ordersHandlers, rejection, serveOrders } from "../support/orders.ts";

type Handlers = Partial<OrderServiceHandlers>;
type Options = Parameters<OrderServiceClient["listOrders"]>[1];
/** Begins a stream; `timeoutMs` becomes a deadline in whichever way the client has one. */
type Begin = (options?: Options) => AsyncIterable<Order>;

async function ourServer(given: Handlers): Promise<number> {
  return (await serveOrders(given)).port;
}

async function niceServer(given: Handlers): Promise<number> {
  const server = createServer();
  server.add(OrderService.definition, ordersHandlers(given) as never);
  onTestFinished(() => server.forceShutdown());
  return server.listen("127.0.0.1:0");
}

function ourClient(port: number): Begin {
  const orders = connectOrders(port);
  return (options) => orders.listOrders({}, options);
}

/** nice-grpc's client has no deadlines: this one is the server's alone to keep. */
function niceClient(port: number): Begin {
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  const orders = createClient(OrderService.definition, channel);
  return ({ signal, timeoutMs } = {}) => {
    const metadata = Metadata(timeoutMs === undefined ? {} : { "grpc-timeout": `${timeoutMs}m` });
    return orders.listOrders({}, { metadata, ...(signal && { signal }) });
  };
}

const PAIRS = [
  ["createClient of createServer", ourServer, ourClient, { message: "enough" }],
  ["createClient of bare nice-grpc", niceServer, ourClient, { message: "enough" }],
  ["bare nice-grpc of createServer", ourServer, niceClient, { name: "AbortError" }],
] as const;

/** A handler's state, as a test watches it. */
function watched() {
  return { yielded: 0, aborted: gate<unknown>(), cleanedUp: gate() };
}

type Watched = ReturnType<typeof watched>;
type StreamHandler = OrderServiceHandlers["listOrders"];

const HANDLERS: readonly (readonly [string, (state: Watched) => StreamHandler])[] = [
  [
    "waits for something",
    (state) =>
      async function* (_request, { signal }) {
        signal.addEventListener("abort", () => state.aborted.resolve(signal.reason));
        try {
          state.yielded += 1;
          yield {};
          await state.aborted.promise;
        } finally {
          state.cleanedUp.resolve();
        }
      },
  ],
  [
    "is suspended",
    (state) =>
      async function* (_request, { signal }) {
        signal.addEventListener("abort", () => state.aborted.resolve(signal.reason));
        try {
          for (const orderId = "x".repeat(100_000); ; state.yielded += 1) yield { orderId };
        } finally {
          state.cleanedUp.resolve();
        }
      },
  ],
];

/** Resolves when the handler makes no more messages. */
async function untilStill(state: Watched): Promise<void> {
  for (let last = -1; last !== state.yielded; ) {
    last = state.yielded;
    await setTimeout(50);
  }
}

/** How a stream is left once its handler stands still; `aborted` is what an aborted one throws. */
const WAYS: readonly (readonly [string, (begin: Begin, state: Watched, aborted: object) => Promise<void>])[] = [
  [
    "leaving the loop",
    async (begin, state) => {
      for await (const _ of begin()) {
        await untilStill(state);
        break;
      }
    },
  ],
  [
    "a throw in its body",
    async (begin, state) => {
      const read = async () => {
        for await (const _ of begin()) {
          await untilStill(state);
          throw new RangeError("enough");
        }
      };
      expect(await rejection(read())).toBeInstanceOf(RangeError);
    },
  ],
  [
    "an aborted signal",
    async (begin, state, aborted) => {
      const controller = new AbortController();
      const read = async () => {
        for await (const _ of begin({ signal: controller.signal })) {
          await untilStill(state);
          controller.abort(new RangeError("enough"));
        }
      };
      expect(await rejection(read())).toMatchObject(aborted);
    },
  ],
  [
    "an aborted signal, before the next message is asked for",
    async (begin, state) => {
      const controller = new AbortController();
      const stream = begin({ signal: controller.signal })[Symbol.asyncIterator]();
      await stream.next();
      await untilStill(state);
      controller.abort();
      await state.cleanedUp.promise;
    },
  ],
  [
    "a deadline",
    async (begin, state) => {
      for await (const _ of begin({ timeoutMs: 300 })) {
        await state.cleanedUp.promise;
        break;
      }
    },
  ],
];

describe.each(PAIRS)("a stream of %s", (_pair, serve, connect, aborted) => {
  describe.each(HANDLERS)("whose handler %s", (_what, handler) => {
    test.each(WAYS)("ends at the server by %s", async (_way, leave) => {
      const state = watched();
      const begin = connect(await serve({ listOrders: handler(state) }));
      await leave(begin, state, aborted);
      await Promise.all([state.aborted.promise, state.cleanedUp.promise]);
    });
  });
});
