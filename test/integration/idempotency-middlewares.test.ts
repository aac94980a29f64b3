import { DatabaseSync } from "node:sqlite";
import { createClient, currentCall, hedge, idempotencyKey, retry } from "bowline";
import { sqliteIdempotency } from "bowline/idempotency-sqlite";
import {
  createServer,
  type IdempotencyContext,
  type IdempotencyStore,
  idempotency,
  memoryIdempotency,
} from "bowline/server";
import { faultProxy } from "bowline/testing";
import { type CallContext, ClientError, Metadata, Status } from "nice-grpc";
import type { ClientMiddleware, ServerMiddleware } from "nice-grpc-common";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import {
  type CreateOrder,
  counting,
  down,
  failing,
  keyed,
  keys,
  methods,
  once,
  quick,
} from "../support/idempotency-middlewares.ts";
import { temporaryFile } from "../support/idempotency-stores.ts";
import { type CreateOrder as KeyedCreateOrder, servers } from "../support/keyed-orders.ts";
import { connectNice, serveNice } from "../support/nice-alone.ts";
import { gate, ordersHandlers, rejection } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";

type Served = CallContext & IdempotencyContext;

describe("idempotency() on nice-grpc alone", () => {
  test("a repetition is given the answer that was kept, and told so", async () => {
    const { seen, createOrder } = counting();
    const orders = connectNice(await serveNice({ createOrder }, once()), keys());
    const replayed: unknown[] = [];
    const onHeader = (header: Metadata) => void replayed.push(header.get("idempotent-replayed"));
    const first = await orders.createOrder({ customerId: "c-1" }, keyed("order-7", { onHeader }));
    expect(await orders.createOrder({ customerId: "c-1" }, keyed("order-7", { onHeader }))).toEqual(first);
    expect(first).toMatchObject({ orderId: "o-1", totalCents: 9_007_199_254_740_993n });
    expect([seen, replayed]).toEqual([["order-7"], [undefined, "true"]]);
  });

  test("repetitions that come while the first still runs wait for it", async () => {
    const { seen, createOrder } = counting();
    const [began, go] = [gate(), gate()];
    const slow: CreateOrder = async (request, context) => {
      began.resolve();
      await go.promise;
      return createOrder(request, context);
    };
    const arrived: string[] = [];
    const door: ServerMiddleware = (call, context) => {
      arrived.push(call.method.path);
      return call.next(call.request as never, context) as AsyncGenerator<never, never, undefined>;
    };
    const orders = connectNice(await serveNice({ createOrder: slow }, door, once()), keys());
    const calls = [orders.createOrder({}, keyed("order-7"))];
    await began.promise;
    for (const _ of [1, 2, 3]) calls.push(orders.createOrder({}, keyed("order-7")));
    const left = new AbortController();
    const leaver = orders.createOrder({}, keyed("order-7", { signal: left.signal }));
    await vi.waitFor(() => expect(arrived).toHaveLength(5));
    left.abort();
    await expect(leaver).rejects.toThrow("aborted");
    go.resolve();
    expect((await Promise.all(calls)).map(({ orderId }) => orderId)).toEqual(Array(4).fill("o-1"));
    expect(seen).toHaveLength(1);
  });

  test.each([
    ["of another request", "order-7", "the idempotency key was used with another request"],
    ["that is none", "two words", "idempotency-key must have printable ASCII characters alone"],
  ])("a key %s is refused with INVALID_ARGUMENT", async (_, key, details) => {
    const { seen, createOrder } = counting();
    const orders = connectNice(await serveNice({ createOrder }, once()));
    const send = (customerId: string, key: string) =>
      orders.createOrder({ customerId }, { metadata: new Metadata({ "idempotency-key": key }) });
    await send("c-1", "order-7");
    const refused = { code: Status.INVALID_ARGUMENT, details: expect.stringContaining(details) };
    expect(await rejection(send("c-2", key))).toMatchObject(refused);
    expect(seen).toHaveLength(1);
  });

  test("no failure is kept, and the handler's error is told as nice-grpc has it", async () => {
    const { seen, createOrder } = counting(failing(1));
    const orders = connectNice(await serveNice({ createOrder }, once()), keys());
    const failure = { code: Status.UNAVAILABLE, details: "the disk is full" };
    expect(await rejection(orders.createOrder({}, keyed("order-7")))).toMatchObject(failure);
    expect(await orders.createOrder({}, keyed("order-7"))).toMatchObject({ orderId: "o-2" });
    expect(seen).toHaveLength(2);
  });

  test("a call without a key runs unprotected, and another method is left alone", async () => {
    const { seen, createOrder } = counting();
    const views: unknown[] = [];
    const port = await serveNice(
      {
        async createOrder(request, context) {
          views.push((context as Served).idempotency.key);
          return createOrder(request, context);
        },
        async getOrder(_, context) {
          views.push((context as Served).idempotency.key);
          await expect((context as Served).idempotency.commit({}, () => ({}))).rejects.toThrow("not among");
          return {};
        },
      },
      once(),
    );
    const orders = connectNice(port);
    await orders.createOrder({});
    await orders.createOrder({});
    await orders.getOrder({}, { metadata: new Metadata({ "idempotency-key": "order-7" }) });
    expect(seen).toHaveLength(2);
    expect(views).toEqual([undefined, undefined, undefined]);
  });

  test("callers are kept apart by what other middlewares know of them", async () => {
    const { seen, createOrder } = counting();
    const authenticated: ServerMiddleware<{ user: string }> = async function* who(call, context) {
      return yield* call.next(call.request, { ...context, user: context.metadata.get("user") ?? "" });
    };
    const identity = (context: CallContext & { user?: string }) => context.user ?? "nobody";
    const port = await serveNice({ createOrder }, authenticated as ServerMiddleware, once({ identity }));
    const orders = connectNice(port, keys());
    const order = async (user: string) => {
      const { orderId } = await orders.createOrder({}, keyed("order-7", { metadata: new Metadata({ user }) }));
      return orderId;
    };
    expect([await order("ann"), await order("bob"), await order("ann")]).toEqual(["o-1", "o-2", "o-1"]);
    expect(seen).toHaveLength(2);
  });

  test.each([undefined, ""])("callers of whom nothing is known (%j) are not taken for one", async (user) => {
    const { seen, createOrder } = counting();
    const orders = connectNice(await serveNice({ createOrder }, once({ identity: () => user })), keys());
    expect(await rejection(orders.createOrder({}, keyed("order-7")))).toMatchObject({ code: Status.UNKNOWN });
    expect(seen).toEqual([]);
  });

  test("commit keeps the answer in the handler's own transaction", async () => {
    const database = new DatabaseSync(temporaryFile("orders.db"));
    database.exec("CREATE TABLE orders (number INTEGER PRIMARY KEY, customer TEXT)");
    const runs: number[] = [];
    const port = await serveNice(
      {
        async createOrder({ customerId = "" }, context) {
          await (context as Served).idempotency.commit(database, (db) => {
            const { lastInsertRowid } = db.prepare("INSERT INTO orders (customer) VALUES (?)").run(customerId);
            return { orderId: `o-${lastInsertRowid}` };
          });
          for (const error of [down()].slice(runs.push(1) - 1)) throw error;
          return {};
        },
      },
      once({ store: sqliteIdempotency(database) }),
    );
    const orders = connectNice(port, keys());
    expect(await rejection(orders.createOrder({ customerId: "c-1" }, keyed("k")))).toBeInstanceOf(ClientError);
    expect(await orders.createOrder({ customerId: "c-1" }, keyed("k"))).toMatchObject({ orderId: "o-1" });
    expect(database.prepare("SELECT count(*) AS count FROM orders").get()).toEqual({ count: 1 });
    database.close();
  });

  test("a store that cannot be asked: UNAVAILABLE before the handler runs, and the operator hears of it", async () => {
    const { seen, createOrder } = counting();
    const broken: IdempotencyStore = { ...memoryIdempotency(), claim: () => Promise.reject(new Error("no route")) };
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    const orders = connectNice(await serveNice({ createOrder }, once({ store: broken, onError })), keys());
    const failure = { code: Status.UNAVAILABLE, details: "the store of idempotency keys cannot be asked" };
    expect(await rejection(orders.createOrder({}))).toMatchObject(failure);
    expect([seen, errors]).toEqual([[], [new Error("no route")]]);
  });

  test("an answer that cannot be kept is not given, and the client is told not to repeat the call", async () => {
    const { seen, createOrder } = counting();
    const full: IdempotencyStore = { ...memoryIdempotency(), complete: () => Promise.reject(new Error("disk full")) };
    const options = { store: full, leaseMs: 100, onError: () => {} };
    const orders = connectNice(await serveNice({ createOrder }, once(options)), retry(quick), keys());
    const error = await rejection(orders.createOrder({}));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, retryStop: "PUSHBACK", attempts: 1 });
    expect(seen).toHaveLength(1);
  });

  test("what it decides, the observer is told", async () => {
    const { createOrder } = counting();
    const told: string[] = [];
    const observer = (event: { type: string; action?: string }) => void told.push(`${event.type} ${event.action}`);
    const orders = connectNice(await serveNice({ createOrder }, once({ observer })), keys());
    await orders.createOrder({}, keyed("order-7"));
    await orders.createOrder({}, keyed("order-7"));
    await rejection(orders.createOrder({ customerId: "c-2" }, keyed("order-7")));
    expect(told).toEqual(["policy replayed", "policy conflict"]);
  });
});

test("under createServer it stands around our own pipeline, and handlers keep their context", async () => {
  const served: unknown[] = [];
  const server = createServer({
    drainOn: [],
    reflection: false,
    validation: false,
    authenticate: false,
    use: [once()],
  }).add(
    PatientOrders,
    ordersHandlers({
      async createOrder(_, context) {
        const { idempotency, identity, method } = context;
        served.push([idempotency.key, identity.source, method.name, context.remainingMs() <= 10_000]);
        expect(currentCall()).toBe(context);
        return { orderId: `o-${served.length}` };
      },
      async getOrder(_, { idempotency }) {
        return { orderId: idempotency.key ?? "none" };
      },
    }),
  );
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  using orders = createClient(PatientOrders, `127.0.0.1:${await server.listen("127.0.0.1:0")}`);
  const metadata = new Metadata({ "idempotency-key": "order-7" });
  const asked = [1, 2].map(() => orders.createOrder({}, { metadata, timeoutMs: 10_000 }));
  expect((await Promise.all(asked)).map(({ orderId }) => orderId)).toEqual(["o-1", "o-1"]);
  expect(served).toEqual([["order-7", "peer", "CreateOrder", true]]);
  expect(await orders.getOrder({}, { metadata })).toMatchObject({ orderId: "none" });
});

/** Serves what has a key under two layers that share a store. */
const twice: [string, (createOrder: CreateOrder, store: IdempotencyStore) => Promise<number>][] = [
  ["idempotency() twice", (createOrder, store) => serveNice({ createOrder }, once({ store }), once({ store }))],
  ...Object.entries(servers).map(([name, serve]): (typeof twice)[number] => [
    `idempotency() around ${name} with a contract that has the key`,
    (createOrder, store) => serve(createOrder as KeyedCreateOrder, { store }, { use: [once({ store })] }),
  ]),
];

test.each(twice)("under %s a call does not wait for itself", async (_, serve) => {
  const { seen, createOrder } = counting();
  const views: unknown[] = [];
  const noting: CreateOrder = (request, context) => {
    views.push((context as Served).idempotency.key);
    return createOrder(request, context);
  };
  const orders = connectNice(await serve(noting, memoryIdempotency()), keys());
  const ask = () => orders.createOrder({}, keyed("order-7", { signal: AbortSignal.timeout(5_000) }));
  expect([await ask(), await ask()]).toMatchObject([{ orderId: "o-1" }, { orderId: "o-1" }]);
  expect([seen, views]).toEqual([["order-7"], ["order-7"]]);
});

const refused: [string, () => unknown, string][] = [
  ["no definition", () => idempotencyKey(undefined as never, { methods }), "idempotencyKey: the first argument is no"],
  ["no options", () => idempotencyKey(OrderServiceDefinition, undefined as never), "methods is missing"],
  ["no methods", () => idempotencyKey(OrderServiceDefinition, { methods: [] }), "methods is missing: name those"],
  [
    "a stream",
    // @ts-expect-error: of streams there is no one answer
    () => idempotencyKey(OrderServiceDefinition, { methods: ["importOrders"] }),
    'methods: "importOrders" is not unary',
  ],
  [
    "an unknown method",
    // @ts-expect-error: the definition has none of this name
    () => idempotency(OrderServiceDefinition, { store: memoryIdempotency(), methods: ["CreateOrder"] }),
    'idempotency: methods: there is no method "CreateOrder"; there are createOrder, getOrder',
  ],
  [
    "methods that are no array",
    () => idempotencyKey(OrderServiceDefinition, { methods: "createOrder" as never }),
    'methods must be an array; it is "createOrder"',
  ],
  [
    "no store",
    () => idempotency(OrderServiceDefinition, { methods } as never),
    "idempotency: store is missing: say where answers are kept",
  ],
  [
    "all that is wrong at once, of a server",
    () => idempotency({} as never, { store: 5, leaseMs: 99, ttlMs: 0, identity: "me", lease: 1 } as never),
    "idempotency: the first argument is no definition; pass the service's definition that ts-proto prints; " +
      "store must be a store, such as memoryIdempotency(); leaseMs must be finite and at least 100; it is 99; " +
      'ttlMs must be greater than zero; it is 0; identity must be a function; it is "me"; there is no option lease; ' +
      "there are store, leaseMs, methods, ttlMs, identity, observer, onError, clock; " +
      "methods is missing: name those that have keys, such as createOrder",
  ],
  [
    "an answer that is to be kept for ever",
    () => idempotency(OrderServiceDefinition, { store: memoryIdempotency(), methods, ttlMs: Number.POSITIVE_INFINITY }),
    "idempotency: ttlMs must be finite; it is Infinity",
  ],
  [
    "all that is wrong at once, of a client",
    () => idempotencyKey(OrderServiceDefinition, { methods: ["getOder"], random: 5, key: "k" } as never),
    "idempotencyKey: random must be a function; it is 5; there is no option key; there are methods, random; " +
      'methods: there is no method "getOder"; there are createOrder, getOrder, listOrders',
  ],
];

test.each(refused)("%s is refused", (_, make, problem) => {
  expect(make).toThrow(TypeError);
  expect(make).toThrow(problem);
});

test.each<[string, ClientMiddleware]>([
  ["retry()", retry(quick)],
  ["hedge()", hedge({ delayMs: 5_000 })],
])("both sides: answers that are lost are asked for again by %s, and there is one order", async (_, repeat) => {
  const { seen, createOrder } = counting();
  const port = await serveNice({ createOrder }, once());
  await using proxy = await faultProxy(`127.0.0.1:${port}`).script({
    ...{ on: "call", fault: "drop", clientSees: "cut", method: "CreateOrder", nth: [1] },
  });
  const orders = connectNice(Number(proxy.target.split(":")[1]), repeat, keys());
  expect(await orders.createOrder({ customerId: "c-1" })).toMatchObject({ orderId: "o-1", customerId: "c-1" });
  expect((await proxy.seen()).calls).toHaveLength(2);
  expect(seen).toHaveLength(1);
});
