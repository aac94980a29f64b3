import { Server as GrpcServer, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { bearer, closeClient, fail, RpcError, reasons, type ServicePolicy, Status } from "bowline";
import type { ServerOptions } from "bowline/server";
import { collect, createBroadcast } from "bowline/stream";
import { expect, onTestFinished, test } from "vitest";
import { OrderService, type OrderServiceHandlers } from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { connectItems, serveItems } from "../support/batched-items.ts";
import { freePort } from "../support/free-port.ts";
import { connectOrders, gate, rejection, serveOrders } from "../support/orders.ts";
import { viaCreateClient, type Wanted } from "../support/policy-clients.ts";
import { rawServer } from "../support/raw-http2.ts";

interface Row {
  /** Default: what the table of reasons gives. */
  readonly code?: number;
  /** Brings the reason about over a real socket, and gives the error that has it. */
  readonly drive: () => Promise<unknown>;
}

const forever = () => new Promise<never>(() => {});

/** A client of a server with these handlers. */
async function served(handlers: Partial<OrderServiceHandlers>) {
  const { server, port } = await serveOrders(handlers);
  return { server, port, orders: connectOrders(port) };
}

const rows: Record<string, Row> = {
  STATUS: {
    code: Status.NOT_FOUND,
    async drive() {
      const { orders } = await served({ getOrder: async () => fail("NOT_FOUND", "no such order") });
      return rejection(orders.getOrder({}));
    },
  },
  DRAINING: {
    async drive() {
      const { server, orders } = await served({
        async *watchOrders(_request, { signal }) {
          yield {};
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      });
      const stream = orders.watchOrders({});
      await stream.next();
      const ended = rejection(stream.next());
      await server.drain();
      return ended;
    },
  },
  TRANSPORT: {
    drive: async () => rejection(connectOrders(await freePort()).getOrder({})),
  },
  DEADLINE_EXCEEDED: {
    async drive() {
      const { orders } = await served({ getOrder: forever });
      return rejection(orders.getOrder({}, { timeoutMs: 50 }));
    },
  },
  DEADLINE_BEFORE_SEND: {
    async drive() {
      const { orders } = await served({});
      return rejection(orders.getOrder({}, { deadline: new Date(0) }));
    },
  },
  CANCELLED: {
    async drive() {
      const server = await rawServer();
      const call = rejection(connectOrders(server.port).getOrder({}));
      (await server.next()).reset();
      return call;
    },
  },
  CLIENT_CLOSED: {
    async drive() {
      const began = gate();
      const { orders } = await served({
        getOrder() {
          began.resolve();
          return forever();
        },
      });
      const call = rejection(orders.getOrder({}));
      await began.promise;
      closeClient(orders);
      return call;
    },
  },
  REQUEST_NOT_ENCODABLE: {
    async drive() {
      const { orders } = await served({});
      return rejection(orders.createOrder({ items: [{ quantity: "many" as never }] }));
    },
  },
  NO_CREDENTIALS: {
    async drive() {
      const { port } = await serveOrders({});
      const credentials = bearer(() => Promise.reject(new Error("the issuer is away")));
      return rejection(connectOrders(port, { credentials }).getOrder({}));
    },
  },
  MESSAGE_TOO_LARGE: {
    async drive() {
      const { port } = await served({ getOrder: async () => ({ orderId: "x".repeat(1_000) }) });
      return rejection(connectOrders(port, { maxReceiveMessageBytes: 100 }).getOrder({}));
    },
  },
  RESPONSE_NOT_DECODABLE: {
    async drive() {
      const server = await rawServer();
      const call = rejection(connectOrders(server.port).getOrder({}));
      (await server.next()).answer(new Uint8Array([0x0a, 0x7f]));
      return call;
    },
  },
  RESPONSE_COUNT: {
    drive: async () => rejection(connectOrders(await silentlyOk()).getOrder({})),
  },
  BATCH_REFUSED: {
    async drive() {
      const { port } = await serveItems(async () => {
        const fieldViolations = [{ field: "requests[0].id", description: "is wrong" }];
        return fail("INVALID_ARGUMENT", "", { statusDetails: [{ $type: "google.rpc.BadRequest", fieldViolations }] });
      });
      const items = connectItems(port);
      const [, other] = ["wrong", "b"].map((id) => rejection(items.getItem({ id }, { retry: false })));
      return other;
    },
  },
  UNAUTHENTICATED: {
    drive: () => seenByMiddleware(async () => ({}), { authenticate: () => undefined }),
  },
  PERMISSION_DENIED: {
    drive: () =>
      seenByMiddleware(async () => ({}), {
        authenticate: () => ({ identity: { key: "token:id|u-1", source: "token" } }),
      }),
  },
  REFUSED: {
    code: Status.ABORTED,
    drive: () => seenByMiddleware(async () => fail("ABORTED", "not now")),
  },
  UNEXPECTED: {
    async drive() {
      const { orders } = await served({
        async importOrders(requests) {
          for await (const _ of requests);
          return {};
        },
      });
      // biome-ignore lint/correctness/useYield: it fails before its first message
      const requests = async function* () {
        throw new Error("the disk is full");
      };
      // The call rejects with the application's own error, whose reason is what the normaliser makes of it.
      return RpcError.from(await rejection(orders.importOrders(requests())));
    },
  },
  ATTEMPT_TIMEOUT: {
    async drive() {
      const { port } = await served({ getOrder: forever });
      const retry = { maxAttempts: 2, attemptTimeoutMs: 40, initialBackoffMs: 0.1 };
      return rejection(viaCreateClient(port, { retry }).orders.getOrder({}));
    },
  },
  RETRY_THROTTLED: {
    drive: () => refused({ retry: {}, retryThrottling: { maxTokens: 2 } }, 1),
  },
  RETRY_BUDGET_EXHAUSTED: {
    async drive() {
      const server = await rawServer();
      const wanted = { retry: {}, retryBudget: { ratio: 0.000_1, minInFlight: 1 } };
      const { orders } = viaCreateClient(server.port, wanted);
      // The first call's second attempt takes what the budget has.
      void rejection(orders.getOrder({}));
      (await server.next()).refuse(Status.UNAVAILABLE, { "grpc-retry-pushback-ms": "0" });
      await server.next();
      const denied = rejection(orders.getOrder({}));
      (await server.next()).refuse(Status.UNAVAILABLE);
      return denied;
    },
  },
  DEADLINE_BEFORE_RETRY: {
    drive: () => refused({ retry: { initialBackoffMs: 60_000, maxBackoffMs: 60_000, jitter: "a6" } }, 1),
  },
  BREAKER_OPEN: {
    drive: () => refused({ breaker: { minimumCalls: 1 } }, 2),
  },
  BULKHEAD_FULL: {
    drive: () => isolated({ bulkhead: { maxConcurrent: 1 } }),
  },
  LIMIT_REACHED: {
    drive: () => isolated({ adaptiveLimit: { initialLimit: 1, minLimit: 1 } }),
  },
  CLIENT_THROTTLED: {
    // With one request in the window, half of the calls are rejected; with more of them, more.
    async drive() {
      const { port } = await serveOrders({ getOrder: async () => fail("RESOURCE_EXHAUSTED", "too much to do") });
      const orders = connectOrders(port, {}, contract({ ...OrderService, service: { throttle: {} }, methods: {} }));
      const codes = async () => (await rejection(orders.getOrder({}))) as RpcError;
      let error = await codes();
      while (error.reason === "STATUS") error = await codes();
      return error;
    },
  },
  RATE_LIMITED: {
    async drive() {
      const { port } = await serveOrders({ getOrder: async () => ({}) }, { rateLimit: { calls: 1, perMs: 60_000 } });
      const orders = connectOrders(port);
      await orders.getOrder({});
      return rejection(orders.getOrder({}));
    },
  },
  SHED: {
    async drive() {
      const { port } = await serveOrders({ getOrder: forever }, { shed: { maxConcurrent: 1 } });
      const orders = connectOrders(port);
      return Promise.race([rejection(orders.getOrder({})), rejection(orders.getOrder({}))]);
    },
  },
  CURSOR_EXPIRED: {
    async drive() {
      const orders = await resumed({ watchOrders: () => fail("OUT_OF_RANGE", "compacted") });
      return rejection(orders.watchOrders({ afterRevision: 1n }).next());
    },
  },
  CURSOR_UNKNOWN: {
    async drive() {
      const orders = await resumed({
        watchOrders(_request, context) {
          context.sendHeader();
          return fail("UNAVAILABLE", "going");
        },
      });
      return rejection(orders.watchOrders({}).next());
    },
  },
  STALLED: {
    async drive() {
      const orders = await resumed({
        async *watchOrders(_request, { signal }) {
          yield { revision: 1n };
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      });
      const stream = orders.watchOrders({}, { retry: false });
      await stream.next();
      return rejection(stream.next());
    },
  },
  BUFFER_FULL: {
    async drive() {
      const { orders } = await served({
        async *listOrders() {
          yield* [{}, {}];
        },
      });
      return rejection(collect(orders.listOrders({}), 1));
    },
  },
  SLOW_SUBSCRIBER: {
    async drive() {
      const events = createBroadcast({ cursorOf: (n: number) => n, history: 0, maxLagMessages: 1 });
      const slow = events.subscribe();
      const first = slow.next();
      for (const n of [1, 2, 3]) events.publish(n);
      await first;
      return rejection(slow.next());
    },
  },
};

/** The error of a call that is one too many. */
async function isolated(service: ServicePolicy): Promise<unknown> {
  const began = gate();
  const { port } = await serveOrders({
    getOrder() {
      began.resolve();
      return forever();
    },
  });
  const orders = connectOrders(port, {}, contract({ ...OrderService, service, methods: {} }));
  void rejection(orders.getOrder({}));
  await began.promise;
  return rejection(orders.getOrder({}));
}

/** A client whose WatchOrders resumes, from where its request says, and stalls when nothing comes for 30 ms. */
async function resumed(handlers: Partial<OrderServiceHandlers>) {
  const { port } = await serveOrders(handlers);
  const resume = { requestField: "after_revision", cursorField: "revision" };
  const watchOrders = { resume, heartbeat: { field: "heartbeat", intervalMs: 10 } };
  return connectOrders(port, {}, contract({ ...OrderService, methods: { watchOrders } }));
}

/** The error of the last of so many calls to a server that is unavailable. */
async function refused(wanted: Wanted, calls: number): Promise<unknown> {
  const { port } = await serveOrders({ getOrder: async () => fail("UNAVAILABLE", "down") });
  const { orders } = viaCreateClient(port, wanted);
  const errors: unknown[] = [];
  for (let n = 0; n < calls; n += 1) errors.push(await rejection(orders.getOrder({})));
  return errors.at(-1);
}

/** What a handler refuses with, as nice-grpc's middlewares see it on the server. */
async function seenByMiddleware(
  getOrder: OrderServiceHandlers["getOrder"],
  options: ServerOptions = {},
): Promise<unknown> {
  const seen = gate<unknown>();
  const { port } = await serveOrders(
    { getOrder },
    {
      ...options,
      use: [
        async function* (call, context) {
          try {
            return yield* call.next(call.request, context);
          } catch (error) {
            seen.resolve(error);
            throw error;
          }
        },
      ],
    },
  );
  await rejection(connectOrders(port).getOrder({}));
  return seen.promise;
}

/** A server to which the method is a stream, and which ends it well without a message. */
async function silentlyOk(): Promise<number> {
  const server = new GrpcServer();
  const bytes = (message: Buffer) => message;
  const codecs = {
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  const method = { path: `/${OrderService.name}/GetOrder`, requestStream: false, responseStream: true, ...codecs };
  server.addService({ getOrder: method }, { getOrder: (call: ServerWritableStream<Buffer, Buffer>) => call.end() });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  onTestFinished(() => server.forceShutdown());
  return port;
}

test("every reason is driven here", () => {
  expect(Object.keys(rows).toSorted()).toEqual(Object.keys(reasons).toSorted());
});

test.each(Object.entries(reasons))("%s", async (reason, { code, origin }) => {
  const row = rows[reason];
  const error = await row?.drive();
  expect(error).toBeInstanceOf(RpcError);
  expect(error).toMatchObject({ reason, origin, code: row?.code ?? code });
});
