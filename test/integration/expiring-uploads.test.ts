import { closeClient, createClient, Status } from "bowline";
import { createServer, type ServerOptions, serverMiddleware } from "bowline/server";
import { createServer as createNiceServer } from "nice-grpc";
import { expect, onTestFinished, test } from "vitest";
import type { OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { gate, ordersHandlers, rejection } from "../support/orders.ts";
import { SecuredOrders } from "../support/secured-orders.ts";

const Uploads = { ...SecuredOrders, methods: { ...SecuredOrders.methods, importOrders: { auth: {} } } };
const unauthenticated = { code: Status.UNAUTHENTICATED, details: "the call needs valid credentials" };

async function own(handlers: OrderServiceHandlers, options: ServerOptions): Promise<number> {
  const server = createServer({ drainOn: [], validation: false, idempotency: false, ...options });
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  return server.add(Uploads, handlers).listen("127.0.0.1:0");
}

async function foreign(handlers: OrderServiceHandlers, { authenticate }: ServerOptions): Promise<number> {
  const options = { authenticate, validation: false, idempotency: false } as const;
  const server = createNiceServer().use(serverMiddleware(Uploads, options as never));
  server.add(Uploads.definition, handlers as never);
  onTestFinished(() => server.forceShutdown());
  return server.listen("127.0.0.1:0");
}

/** A client that goes on sending until it is told to stop, and notes that it was. */
function endless() {
  const stopped = gate();
  const requests = (async function* () {
    try {
      for (;;) {
        yield {};
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    } finally {
      stopped.resolve();
    }
  })();
  return { requests, stopped: stopped.promise };
}

test.each([
  ["createServer", own],
  ["nice-grpc's server", foreign],
])("on %s, whoever streams requests is stopped when its credentials end", async (_, serve) => {
  const expiresAt = Date.now() + 250;
  const ends: Promise<unknown>[] = [];
  const read = async (requests: AsyncIterable<unknown>) => {
    let taken = 0;
    for await (const _request of requests) taken += 1;
    return taken;
  };
  const note = (reading: Promise<unknown>) => {
    ends.push(
      reading.then(
        (taken) => `took ${taken}`,
        (error: unknown) => error,
      ),
    );
    return reading;
  };
  const handlers = ordersHandlers({
    importOrders: async (requests) => {
      await note(read(requests));
      return {};
    },
    async *quoteBaskets(requests) {
      await note(read(requests));
      yield {};
    },
  });
  const authenticate = () => ({ identity: { key: "token:x|u-1", source: "token" as const }, expiresAt });
  const orders = createClient(Uploads, `127.0.0.1:${await serve(handlers, { authenticate })}`);
  onTestFinished(() => closeClient(orders));
  const [upload, both] = [endless(), endless()];
  const refused = [
    rejection(orders.importOrders(upload.requests)),
    rejection(orders.quoteBaskets(both.requests).next()),
  ];
  for (const error of await Promise.all(refused)) expect(error).toMatchObject(unauthenticated);
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt - 1);
  for (const end of await Promise.all(ends)) expect(end).toMatchObject(unauthenticated);
  expect(ends).toHaveLength(2);
  await Promise.all([upload.stopped, both.stopped]);
});
