import { circuitBreaker, clientMiddleware, hedge, idempotencyKey, RpcError, retry } from "bowline";
import { contract } from "bowline/runtime/v1";
import { ClientError, Metadata } from "nice-grpc";
import type { ClientMiddleware } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { OrderServiceDefinition } from "../../gen/shop/orders/v1/orders.ts";
import {
  type CreateOrder,
  counting,
  down,
  failing,
  keyed,
  keys,
  methods,
  quick,
} from "../support/idempotency-middlewares.ts";
import { connectNice, serveNice } from "../support/nice-alone.ts";
import { rejection } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";

/** Others' retry, as nice-grpc's own: it calls on up to three times, and tells nobody. */
const plainRetry: ClientMiddleware = async function* again(call, options) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return yield* call.next(call.request as never, options) as AsyncGenerator<never, never, undefined>;
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
};

/** A middleware to whom every method is idempotent, as one of that `idempotency_level` is. */
const asIdempotent =
  (middleware: ClientMiddleware): ClientMiddleware =>
  (call, options) => {
    const method = { ...call.method, options: { ...call.method.options, idempotencyLevel: "IDEMPOTENT" as const } };
    return middleware({ ...call, method }, options);
  };

const { definition } = PatientOrders;

/** A contract whose CreateOrder is idempotent, and retried. */
const RepeatingOrders = contract({
  ...PatientOrders,
  definition: {
    ...definition,
    methods: {
      ...definition.methods,
      createOrder: { ...definition.methods.createOrder, options: { idempotencyLevel: "IDEMPOTENT" as const } },
    },
  },
  methods: { createOrder: { retry: {} } },
  cursors: {},
  heartbeats: {},
});

describe("idempotencyKey() on nice-grpc alone", () => {
  test.each<[string, ClientMiddleware]>([
    ["retry()", retry(quick)],
    ["a retry of others", plainRetry],
  ])("outside of %s: a key for each call, the same with all of its attempts", async (_, retries) => {
    const { seen, createOrder } = counting((run) => {
      if (run % 3 !== 0) throw down();
    });
    const orders = connectNice(await serveNice({ createOrder }), retries, keys());
    await orders.createOrder({});
    await orders.createOrder({});
    const [first, second] = [seen.slice(0, 3), seen.slice(3)];
    expect(first).toEqual(Array(3).fill(expect.stringMatching(/^[0-9a-f]{32}$/)));
    expect(second).toEqual(Array(3).fill(second[0]));
    expect(new Set(seen).size).toBe(2);
  });

  test("inside of a retry of others: a key for each attempt, unless the caller gives one", async () => {
    const { seen, createOrder } = counting((run) => {
      if (run % 3 !== 0) throw down();
    });
    const orders = connectNice(await serveNice({ createOrder }), keys(), plainRetry);
    await orders.createOrder({});
    await orders.createOrder({}, keyed("order-7"));
    expect(new Set(seen.slice(0, 3)).size).toBe(3);
    expect(seen.slice(3)).toEqual(["order-7", "order-7", "order-7"]);
  });

  /** What stands between `idempotencyKey()`, which is inside, and what repeats calls. */
  const between: ClientMiddleware[] = [
    circuitBreaker(),
    async function* plain(call, options) {
      return yield* call.next(call.request as never, { ...options }) as AsyncGenerator<never, never, undefined>;
    },
  ];

  test.each<[string, ClientMiddleware[]]>([
    ["retry()", [asIdempotent(retry(quick))]],
    ["hedge()", [asIdempotent(hedge({ delayMs: 20 }))]],
    ["a contract that retries", [clientMiddleware(RepeatingOrders)]],
    ["retry(), with others in between", [...between, asIdempotent(retry(quick))]],
    ["a retry of others around retry()", [asIdempotent(retry(quick)), plainRetry]],
  ])("inside of %s: refused at the first call, before anything is sent", async (_, repeats) => {
    const { seen, createOrder } = counting();
    const orders = connectNice(await serveNice({ createOrder }), keys(), ...repeats);
    for (const options of [{}, { traced: true }] as object[]) {
      const error = await rejection(orders.createOrder({}, options));
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ message: expect.stringContaining("use() it after retry() and hedge()") });
    }
    expect(seen).toEqual([]);
  });

  test.each<[string, ClientMiddleware]>([
    ["retry()", asIdempotent(retry(quick))],
    ["hedge()", asIdempotent(hedge({ delayMs: 5_000 }))],
  ])("inside of %s, a key that the caller gives is the call's", async (_, repeats) => {
    const { seen, createOrder } = counting(failing(1));
    const orders = connectNice(await serveNice({ createOrder }), keys(), repeats);
    await orders.createOrder({}, keyed("order-7"));
    expect(seen).toEqual(["order-7", "order-7"]);
  });

  test("inside of retry(), a method that is not repeated has its key", async () => {
    const { seen, createOrder } = counting();
    const orders = connectNice(await serveNice({ createOrder }), keys(), retry(quick));
    await orders.createOrder({});
    expect(seen).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
  });

  test("in a gateway that hands on the metadata of a call that is repeated, it is another call's", async () => {
    const { seen, createOrder } = counting();
    const inner = connectNice(await serveNice({ createOrder }), retry(quick), keys());
    const previous: unknown[] = [];
    const gateway = await serveNice({
      async getOrder(_, { metadata }) {
        previous.push(metadata.get("grpc-previous-rpc-attempts"));
        for (const error of [down()].slice(previous.length - 1)) throw error;
        return await inner.createOrder({}, { metadata });
      },
    });
    const outer = connectNice(gateway, retry(quick));
    expect(await outer.getOrder({})).toMatchObject({ orderId: "o-1" });
    expect(previous).toEqual([undefined, "1"]);
    expect(seen).toHaveLength(1);
  });

  test("what marks attempts is on no wire, and the options of others are as they were", async () => {
    const { createOrder } = counting();
    const sent: string[][] = [];
    const watched: CreateOrder = (request, context) => {
      sent.push([...context.metadata].map(([key]) => key));
      return createOrder(request, context);
    };
    const handed: object[] = [];
    const inner: ClientMiddleware = async function* inner(call, options) {
      handed.push(options);
      return yield* call.next(call.request, options);
    };
    const orders = connectNice(await serveNice({ createOrder: watched }), inner, asIdempotent(retry(quick)), keys());
    await orders.createOrder({}, { traced: true } as object);
    expect(Object.keys(handed[0] ?? {}).sort()).toEqual(["metadata", "onHeader", "onTrailer", "signal", "traced"]);
    expect(sent[0]?.filter((key) => /bowline|attempt/.test(key))).toEqual([]);
  });

  test("the caller's key is taken as an option or as metadata, and the option is not handed on", async () => {
    const { seen, createOrder } = counting();
    const handed: string[][] = [];
    const inner: ClientMiddleware = async function* inner(call, options) {
      handed.push(Object.keys(options));
      return yield* call.next(call.request, options);
    };
    const orders = connectNice(await serveNice({ createOrder }), inner, keys());
    await orders.createOrder({}, keyed("order-7", { traced: true }));
    await orders.createOrder({}, { metadata: new Metadata({ "idempotency-key": "order-8" }) });
    expect(seen).toEqual(["order-7", "order-8"]);
    expect(handed[0]).toContain("traced");
    expect(handed.flat()).not.toContain("idempotencyKey");
  });

  test.each(["", "two words", "a,b", "x".repeat(256)])("what is no key is not sent: %j", async (key) => {
    const { seen, createOrder } = counting();
    const orders = connectNice(await serveNice({ createOrder }), keys());
    await expect(orders.createOrder({}, keyed(key))).rejects.toThrow(TypeError);
    expect(seen).toEqual([]);
  });

  test("other methods have none, and their errors stay nice-grpc's own", async () => {
    const got: unknown[] = [];
    const port = await serveNice({
      async getOrder(_, { metadata }) {
        got.push(metadata.get("idempotency-key"));
        throw down();
      },
    });
    const error = await rejection(connectNice(port, keys()).getOrder({}));
    expect(error).toBeInstanceOf(ClientError);
    expect(error).not.toBeInstanceOf(RpcError);
    expect(got).toEqual([undefined]);
  });

  test("two clients send no key twice, and a random of one's own decides", async () => {
    const { seen, createOrder } = counting();
    const port = await serveNice({ createOrder });
    const steady = idempotencyKey(OrderServiceDefinition, { methods, random: () => 0.5 });
    await Promise.all([keys(), keys(), steady].map((middleware) => connectNice(port, middleware).createOrder({})));
    expect(new Set(seen).size).toBe(3);
    expect(seen).toContain("80000000".repeat(4));
  });
});
