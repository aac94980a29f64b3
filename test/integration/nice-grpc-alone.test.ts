import { circuitBreaker, RpcError, retry } from "bowline";
import { type CallContext, ClientError, ServerError, Status } from "nice-grpc";
import type { ClientMiddleware } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import {
  type NiceClient as Client,
  connectNice as connect,
  type NiceHandlers as Handlers,
  serveNice as serve,
} from "../support/nice-alone.ts";
import { rejection } from "../support/orders.ts";

const quick = { initialBackoffMs: 0.1 };
const down = () => new ServerError(Status.UNAVAILABLE, "the disk is full");

/** Handlers of both kinds that do the same: `act` is told how many calls came before. */
function handlers(act: (before: number, context: CallContext) => void) {
  const served: string[] = [];
  const begin = (name: string, context: CallContext) => act(served.push(name) - 1, context);
  const given: Partial<Handlers> = {
    async getOrder(_, context) {
      begin("getOrder", context);
      return { orderId: "o-1" };
    },
    async *listOrders(_, context) {
      begin("listOrders", context);
      yield { orderId: "o-1" };
    },
  };
  return { served, given };
}

const forms: [string, (client: Client, options?: object) => Promise<unknown>][] = [
  ["unary", (client, options) => client.getOrder({}, options)],
  ["server-stream", async (client, options) => (await Array.fromAsync(client.listOrders({}, options)))[0]],
];

describe.each(forms)("retry() on nice-grpc alone: %s", (_, make) => {
  test("a call is tried again until it succeeds, and the handler can tell", async () => {
    const attempts: unknown[] = [];
    const { served, given } = handlers((before, { metadata }) => {
      attempts.push(metadata.get("grpc-previous-rpc-attempts"));
      for (const error of [down(), down()].slice(before)) throw error;
    });
    const client = connect(await serve(given), retry(quick));
    expect(await make(client)).toMatchObject({ orderId: "o-1" });
    expect(served).toHaveLength(3);
    expect(attempts).toEqual([undefined, "1", "2"]);
  });

  test("the error is nice-grpc's to those who ask for that, and says what the attempts ended with", async () => {
    const { served, given } = handlers(() => {
      throw down();
    });
    const error = await rejection(make(connect(await serve(given), retry(quick))));
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toBeInstanceOf(RpcError);
    const failure = { code: Status.UNAVAILABLE, reason: "STATUS", details: "the disk is full" };
    expect(error).toMatchObject({
      ...{ ...failure, attempts: 3, retryStop: "MAX_ATTEMPTS" },
      failures: [1, 2, 3].map((attempt) => ({ attempt, ...failure })),
    });
    expect(served).toHaveLength(3);
  });

  test.each<[string, (context: CallContext) => void, string]>([
    ["R3 headers that a handler sent", ({ header }) => header.set("x-header", "h"), "COMMITTED"],
    ["R4 a pushback of -1", ({ trailer }) => trailer.set("grpc-retry-pushback-ms", "-1"), "PUSHBACK"],
  ])("%s: no further attempt", async (_, prepare, retryStop) => {
    const { served, given } = handlers((_, context) => {
      prepare(context);
      throw down();
    });
    const error = await rejection(make(connect(await serve(given), retry(quick))));
    expect(error).toMatchObject({ attempts: 1, retryStop });
    expect(served).toHaveLength(1);
  });

  test("header and trailer of the attempt that counts are told, once", async () => {
    const { given } = handlers((before, { header, trailer }) => {
      trailer.set("x-attempt", String(before));
      for (const error of [down()].slice(before)) throw error;
      header.set("x-attempt", String(before));
    });
    const told: unknown[] = [];
    const note = (what: string) => (metadata: { get(key: string): unknown }) =>
      void told.push(`${what} ${metadata.get("x-attempt")}`);
    await make(connect(await serve(given), retry(quick)), { onHeader: note("header"), onTrailer: note("trailer") });
    expect(told).toEqual(["header 1", "trailer 1"]);
  });

  test("what a call says narrows the policy, and is not handed on; what is others' is", async () => {
    const { served, given } = handlers(() => {
      throw down();
    });
    const seen: object[] = [];
    const inner: ClientMiddleware = async function* inner(call, options) {
      seen.push(Object.keys(options).sort());
      return yield* call.next(call.request, options);
    };
    const client = connect(await serve(given), inner, retry(quick));
    expect(await rejection(make(client, { maxAttempts: 2, traced: true }))).toMatchObject({ attempts: 2 });
    expect(seen).toEqual([1, 2].map(() => ["metadata", "onHeader", "onTrailer", "signal", "traced"]));
    expect(served).toHaveLength(2);
  });

  test("an attempt that takes too long is cancelled at its handler, and tried again", async () => {
    const aborted = Promise.withResolvers<string>();
    const hanging = Promise.withResolvers<never>();
    const served: string[] = [];
    const begin = async ({ signal }: CallContext) => {
      signal.addEventListener("abort", () => aborted.resolve("aborted"));
      await [hanging.promise][served.push("call") - 1];
      return { orderId: "o-1" };
    };
    const port = await serve({
      getOrder: (_, context) => begin(context),
      async *listOrders(_, context) {
        yield await begin(context);
      },
    });
    expect(await make(connect(port, retry({ ...quick, attemptTimeoutMs: 80 })))).toMatchObject({ orderId: "o-1" });
    expect(await aborted.promise).toBe("aborted");
    expect(served).toHaveLength(2);
  });
});

describe("retry() lets pass untouched", () => {
  test("what is not safe to repeat: the error is nice-grpc's own", async () => {
    const served: string[] = [];
    const createOrder = async () => {
      served.push("createOrder");
      throw down();
    };
    const error = await rejection(connect(await serve({ createOrder }), retry(quick)).createOrder({}));
    expect(error).toBeInstanceOf(ClientError);
    expect(error).not.toBeInstanceOf(RpcError);
    expect(served).toHaveLength(1);
  });

  test("streams of requests", async () => {
    const port = await serve({
      async importOrders(requests) {
        return { imported: (await Array.fromAsync(requests)).length };
      },
      async *quoteBaskets(requests) {
        for await (const { items } of requests) yield { totalCents: BigInt(items.length) };
      },
    });
    const client = connect(port, retry(quick));
    expect(await client.importOrders(ReadableStream.from([{}, {}]))).toMatchObject({ imported: 2 });
    const quotes = await Array.fromAsync(client.quoteBaskets(ReadableStream.from([{}, {}])));
    expect(quotes).toHaveLength(2);
  });

  test("a method that says nothing about itself, as definitions of grpc-js do", async () => {
    const next = async function* next() {
      yield "message";
    };
    const call = { method: { path: "/a.B/C", requestStream: false, responseStream: true, options: undefined }, next };
    expect(await Array.fromAsync(retry()(call as never, {}))).toEqual(["message"]);
  });
});

const breaking = { minimumCalls: 2, openMs: 3_600_000, maxOpenMs: 3_600_000 };
const all: typeof forms = [
  ...forms,
  ["client-stream", (client) => client.importOrders(ReadableStream.from([{}]))],
  ["bidi", (client) => Array.fromAsync(client.quoteBaskets(ReadableStream.from([{}])))],
];

describe.each(all)("circuitBreaker() on nice-grpc alone: %s", (_, make) => {
  const broken = () => {
    const served: string[] = [];
    const fail = (name: string) => () => {
      served.push(name);
      throw down();
    };
    const names = ["getOrder", "listOrders", "importOrders", "quoteBaskets"];
    return { served, given: Object.fromEntries(names.map((name) => [name, fail(name)])) };
  };

  test("while it is open no handler is called", async () => {
    const { served, given } = broken();
    const client = connect(await serve(given), circuitBreaker(breaking));
    for (const _ of [1, 2])
      expect(await rejection(make(client))).toMatchObject({ code: Status.UNAVAILABLE, reason: "STATUS" });
    for (const _ of [1, 2])
      expect(await rejection(make(client))).toMatchObject({ reason: "BREAKER_OPEN", attempts: 0 });
    expect(await rejection(make(client))).toBeInstanceOf(ClientError);
    expect(served).toHaveLength(2);
  });
});

describe("circuitBreaker() on nice-grpc alone", () => {
  test("its breakers are told by method, or by service", async () => {
    const { given } = handlers(() => {});
    const [each, shared] = [circuitBreaker(), circuitBreaker({ scope: "service" })];
    const client = connect(await serve(given), each, shared);
    await client.getOrder({});
    await Array.fromAsync(client.listOrders({}));
    expect(Object.keys(each.snapshot())).toEqual(
      ["GetOrder", "ListOrders"].map((name) => `/shop.orders.v1.OrderService/${name}`),
    );
    expect(shared.snapshot()).toMatchObject({ "shop.orders.v1.OrderService": { calls: 2, failures: 0 } });
  });

  test("run and calls share nothing but the settings", async () => {
    const { served, given } = handlers(() => {});
    const breaker = circuitBreaker(breaking);
    const client = connect(await serve(given), breaker);
    for (const _ of [1, 2]) await rejection(breaker.run(() => Promise.reject(new Error("no"))));
    expect(await rejection(breaker.run(() => 1))).toMatchObject({ reason: "BREAKER_OPEN" });
    await client.getOrder({});
    expect(served).toHaveLength(1);
  });
});
