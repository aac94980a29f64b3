import { DatabaseSync } from "node:sqlite";
import { fail, type ObserverEvent, RpcError, Status } from "bowline";
import { sqliteIdempotency } from "bowline/idempotency-sqlite";
import { createServer, type IdempotencyStore, memoryIdempotency, serverMiddleware } from "bowline/server";
import { faultProxy } from "bowline/testing";
import { Metadata } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryFile } from "../support/idempotency-stores.ts";
import {
  bareClient,
  CREATE_ORDER,
  type CreateOrder,
  counting,
  KeyedOrders,
  keyedClients,
  servers,
} from "../support/keyed-orders.ts";
import { gate, ordersHandlers, rejection } from "../support/orders.ts";

const { createClient: connect } = keyedClients;
const kept = () => ({ store: memoryIdempotency() });

describe.each(Object.entries(keyedClients))("a key, sent by %s", (_, connect) => {
  const serve = servers.createServer;

  test("is one for each call, and the same with all of its attempts", async () => {
    const keys: (string | undefined)[] = [];
    const port = await serve(async (_request, { idempotency, metadata }) => {
      keys.push(metadata.get("idempotency-key"));
      expect(idempotency.key).toBe(keys.at(-1));
      return keys.length % 3 === 0 ? {} : fail("UNAVAILABLE", "not yet");
    }, kept());
    const orders = connect(port);
    await orders.createOrder({});
    await orders.createOrder({});
    const [first, second] = [keys.slice(0, 3), keys.slice(3)];
    expect(first).toEqual(Array(3).fill(expect.stringMatching(/^[0-9a-f]{32}$/)));
    expect(second).toEqual(Array(3).fill(second[0]));
    expect([new Set(first).size, new Set(keys).size]).toEqual([1, 2]);
  });

  test("is the caller's, if it gives one, as an option or as metadata", async () => {
    const { createOrder, keys } = counting();
    const orders = connect(await serve(createOrder, kept()));
    await orders.createOrder({}, { idempotencyKey: "order-7" });
    await orders.createOrder({}, { metadata: new Metadata({ "idempotency-key": "order-8" }) });
    expect(keys).toEqual(["order-7", "order-8"]);
  });

  test.each(["", "x".repeat(256), "two words", "a,b", "ä", 7 as unknown as string])(
    "is refused before anything is sent: %j",
    async (idempotencyKey) => {
      const { createOrder, keys } = counting();
      const orders = connect(await serve(createOrder, kept()));
      await expect(orders.createOrder({}, { idempotencyKey })).rejects.toThrow(TypeError);
      expect(keys).toEqual([]);
    },
  );

  test("makes a call whose answers are lost one order", async () => {
    const { createOrder, keys } = counting();
    const port = await serve(createOrder, kept());
    await using proxy = await faultProxy(`127.0.0.1:${port}`).script({
      ...{ on: "call", fault: "drop", clientSees: "cut", method: "CreateOrder", nth: [1, 2] },
    });
    const orders = connect(Number(proxy.target.split(":").at(-1)));
    expect(await orders.createOrder({ customerId: "c-1" })).toMatchObject({ orderId: "o-1", customerId: "c-1" });
    expect((await proxy.seen()).calls).toHaveLength(3);
    expect(keys).toHaveLength(1);
  });
});

describe.each(Object.entries(servers))("%s", (_, serve) => {
  const key = { idempotencyKey: "order-7" };

  test("gives a repetition the answer that was kept, and says so", async () => {
    const { createOrder, keys } = counting();
    const orders = connect(await serve(createOrder, kept()));
    const replayed: (string | undefined)[] = [];
    const onHeader = (header: Metadata) => void replayed.push(header.get("idempotent-replayed"));
    const first = await orders.createOrder({ customerId: "c-1" }, { ...key, onHeader });
    expect(await orders.createOrder({ customerId: "c-1" }, { ...key, onHeader })).toEqual(first);
    expect(first.totalCents).toBe(9_007_199_254_740_993n);
    expect([keys.length, replayed]).toEqual([1, [undefined, "true"]]);
  });

  test("gives it also to a repetition that comes while the first still runs", async () => {
    const { createOrder, keys } = counting();
    const go = gate();
    const slow: CreateOrder = async (request, context) => {
      await go.promise;
      return createOrder(request, context);
    };
    const orders = connect(await serve(slow, kept()));
    const calls = Array.from({ length: 5 }, () => orders.createOrder({}, key));
    await new Promise((resolve) => setTimeout(resolve, 60));
    go.resolve();
    expect((await Promise.all(calls)).map(({ orderId }) => orderId)).toEqual(Array(5).fill("o-1"));
    expect(keys).toHaveLength(1);
  });

  test("refuses the key for another request, before and after there is an answer", async () => {
    const { createOrder } = counting();
    const [began, go] = [gate(), gate()];
    const slow: CreateOrder = async (request, context) => {
      began.resolve();
      await go.promise;
      return createOrder(request, context);
    };
    const orders = connect(await serve(slow, kept()));
    const first = orders.createOrder({ customerId: "c-1" }, key);
    await began.promise;
    const refused = { code: Status.INVALID_ARGUMENT, attempts: 1 };
    expect(await rejection(orders.createOrder({ customerId: "c-2" }, key))).toMatchObject(refused);
    go.resolve();
    await first;
    expect(await rejection(orders.createOrder({ customerId: "c-2" }, key))).toMatchObject(refused);
  });

  test("keeps no failure: the next call with the key runs, also with another request", async () => {
    const { createOrder, keys } = counting();
    const failing: CreateOrder = async (request, context) => {
      const order = await createOrder(request, context);
      return request.customerId === "" ? fail("FAILED_PRECONDITION", "whose?") : order;
    };
    const orders = connect(await serve(failing, kept()));
    expect(await rejection(orders.createOrder({}, key))).toMatchObject({ code: Status.FAILED_PRECONDITION });
    expect(await orders.createOrder({ customerId: "c-1" }, key)).toMatchObject({ orderId: "o-2" });
    expect(keys).toHaveLength(2);
  });

  test("runs a call without a key unprotected", async () => {
    const seen: unknown[] = [];
    const port = await serve(async (_request, { idempotency: { key, token, takenOver } }) => {
      seen.push({ key, token, takenOver });
      return { orderId: `o-${seen.length}` };
    }, kept());
    const orders = bareClient(port);
    expect([await orders.createOrder({}), await orders.createOrder({})]).toMatchObject([
      { orderId: "o-1" },
      { orderId: "o-2" },
    ]);
    expect(seen).toEqual(Array(2).fill({ key: undefined, token: undefined, takenOver: false }));
  });

  test.each<[string, string[]]>([
    ["too long", ["x".repeat(256)]],
    ["empty", [""]],
    ["two of them", ["a", "b"]],
    ["with a space", ["a b"]],
  ])("refuses what is no key: %s", async (_, values) => {
    const { createOrder, keys } = counting();
    const orders = bareClient(await serve(createOrder, kept()));
    const metadata = new Metadata({ "idempotency-key": values });
    const error = await rejection(orders.createOrder({}, { metadata }));
    expect(error).toMatchObject({ code: Status.INVALID_ARGUMENT });
    expect(keys).toEqual([]);
  });

  test("takes a key of 255 characters", async () => {
    const { createOrder, keys } = counting();
    const orders = connect(await serve(createOrder, kept()));
    await orders.createOrder({}, { idempotencyKey: "x".repeat(255) });
    expect(keys).toEqual(["x".repeat(255)]);
  });

  test("lets a repetition leave when its time is over or its caller goes, and the first run on", async () => {
    const { createOrder, keys } = counting();
    const [began, go] = [gate(), gate()];
    const slow: CreateOrder = async (request, context) => {
      began.resolve();
      await go.promise;
      return createOrder(request, context);
    };
    const orders = connect(await serve(slow, kept()));
    const first = orders.createOrder({}, key);
    await began.promise;
    const late = await rejection(orders.createOrder({}, { ...key, timeoutMs: 60 }));
    expect(late).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    const controller = new AbortController();
    const gone = rejection(orders.createOrder({}, { ...key, signal: controller.signal }));
    controller.abort("gone");
    expect(await gone).toBe("gone");
    go.resolve();
    expect(await first).toMatchObject({ orderId: "o-1" });
    expect(keys).toHaveLength(1);
  });

  test("ends with its deadline while the store does not answer, and gives back the claim that comes late", async () => {
    const { createOrder, keys } = counting();
    const slow = gate();
    const store = memoryIdempotency();
    const claim: IdempotencyStore["claim"] = async (wish) => {
      await slow.promise;
      return store.claim(wish);
    };
    const released = gate();
    const release: IdempotencyStore["release"] = (claim) => store.release(claim).then(released.resolve);
    const ended = gate<string>();
    const observer = (event: ObserverEvent) => {
      if (event.type === "served.ended") ended.resolve(event.status);
    };
    const orders = connect(await serve(createOrder, { store: { ...store, claim, release } }, { observer }));
    const late = await rejection(orders.createOrder({}, { ...key, timeoutMs: 60 }));
    expect(late).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    await ended.promise;
    expect(keys).toEqual([]);
    slow.resolve();
    await released.promise;
    expect(await orders.createOrder({}, { ...key, timeoutMs: 5_000 })).toMatchObject({ orderId: "o-1" });
    expect(keys).toEqual(["order-7"]);
  });

  test("ends also where the store goes silent once its handler has run, and tells what that one refused", async () => {
    const silent = () => new Promise<never>(() => {});
    const store = { ...memoryIdempotency(), complete: silent, release: silent };
    const ended = [gate<string>(), gate<string>()];
    const observer = (event: ObserverEvent) => {
      if (event.type === "served.ended") ended.shift()?.resolve(event.status);
    };
    const createOrder: CreateOrder = async ({ customerId }) =>
      customerId === "" ? fail("FAILED_PRECONDITION", "whose?") : {};
    const port = await serve(createOrder, { store, leaseMs: 100 }, { observer, onError: () => {} });
    const orders = connect(port);
    const [first, second] = ended.map(({ promise }) => promise);
    expect(await rejection(orders.createOrder({}, key))).toMatchObject({ code: Status.FAILED_PRECONDITION });
    expect(await first).toBe("FAILED_PRECONDITION");
    const late = orders.createOrder({ customerId: "c-1" }, { idempotencyKey: "order-8", timeoutMs: 60 });
    expect(await rejection(late)).toMatchObject({ code: Status.DEADLINE_EXCEEDED });
    // nice-grpc tells our middleware of the client alone, which has left.
    expect(await second).toMatch(/^(DEADLINE_EXCEEDED|CANCELLED)$/);
  });

  test("keeps the answer of a handler whose client has left", async () => {
    const { createOrder, keys } = counting();
    const [began, go] = [gate(), gate()];
    const deaf: CreateOrder = async (request, context) => {
      began.resolve();
      await go.promise;
      return createOrder(request, context);
    };
    const orders = connect(await serve(deaf, kept()));
    const controller = new AbortController();
    const left = rejection(orders.createOrder({}, { ...key, signal: controller.signal }));
    await began.promise;
    controller.abort("gone");
    expect(await left).toBe("gone");
    const again = orders.createOrder({}, key);
    go.resolve();
    expect(await again).toMatchObject({ orderId: "o-1" });
    expect(keys).toHaveLength(1);
  });

  test("gives a key back only when its handler has ended, though its signal has aborted", async () => {
    const events: string[] = [];
    const [aborted, go] = [gate(), gate()];
    const port = await serve(async (_request, { signal }) => {
      events.push("began");
      if (events.length > 1) return { orderId: "o-2" };
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted.resolve();
      await go.promise;
      events.push("ended");
      throw signal.reason;
    }, kept());
    const orders = connect(port);
    const controller = new AbortController();
    const left = rejection(orders.createOrder({}, { ...key, signal: controller.signal }));
    await expect.poll(() => events).toEqual(["began"]);
    controller.abort("gone");
    await left;
    await aborted.promise;
    const again = orders.createOrder({}, key);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(events).toEqual(["began"]);
    go.resolve();
    expect(await again).toMatchObject({ orderId: "o-2" });
    expect(events).toEqual(["began", "ended", "began"]);
  });

  test("shares keys with other servers on one store", async () => {
    const { createOrder, keys } = counting();
    const go = gate();
    const slow: CreateOrder = async (request, context) => {
      await go.promise;
      return createOrder(request, context);
    };
    const idempotency = kept();
    const [a, b] = [connect(await serve(slow, idempotency)), connect(await serve(slow, idempotency))];
    const calls = [a.createOrder({}, key), b.createOrder({}, key)];
    await new Promise((resolve) => setTimeout(resolve, 60));
    go.resolve();
    expect((await Promise.all(calls)).map(({ orderId }) => orderId)).toEqual(["o-1", "o-1"]);
    expect(keys).toHaveLength(1);
  });

  test("an owner that stood still is taken over, told to stop, and never answers", async () => {
    const store = memoryIdempotency();
    const [began, reasons] = [gate(), [] as unknown[]];
    // Its first renewal comes when another server has taken the call over.
    const paused: IdempotencyStore = {
      ...store,
      renew: async (claim) => (reasons.push(1) < 3 ? true : store.renew(claim)),
    };
    const stopped = gate<unknown>();
    const old = await serve(
      async (_request, { signal }) => {
        began.resolve();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        stopped.resolve(signal.reason);
        return { orderId: "old" };
      },
      { store: paused, leaseMs: 100 },
    );
    const fresh = await serve(async (_request, { idempotency }) => ({ orderId: `new ${idempotency.takenOver}` }), {
      store,
      leaseMs: 100,
    });
    const first = rejection(connect(old, { maxAttemptsLimit: 1 }).createOrder({}, { ...key, retry: false }));
    await began.promise;
    expect(await connect(fresh).createOrder({}, key)).toMatchObject({ orderId: "new true" });
    expect(await stopped.promise).toMatchObject({ name: "AbortError" });
    expect(await first).toMatchObject({ code: Status.UNAVAILABLE, details: /taken this call over/ });
    expect(await connect(old).createOrder({}, key)).toMatchObject({ orderId: "new true" });
  });

  test("says UNAVAILABLE, and logs why, when the store cannot be asked", async () => {
    const { createOrder, keys } = counting();
    const store = memoryIdempotency();
    let asked = 0;
    const flaky: IdempotencyStore = {
      ...store,
      claim: async (wish) => {
        asked += 1;
        if (asked < 3) throw new Error("the store is down");
        return store.claim(wish);
      },
    };
    const errors: unknown[] = [];
    const port = await serve(createOrder, { store: flaky }, { onError: (error) => void errors.push(error) });
    expect(await connect(port).createOrder({})).toMatchObject({ orderId: "o-1" });
    expect(errors).toEqual(Array(2).fill(new Error("the store is down")));
    expect(keys).toHaveLength(1);
  });

  test("offers an answer again until the store takes it", async () => {
    const { createOrder, keys } = counting();
    const store = memoryIdempotency();
    let offered = 0;
    const flaky: IdempotencyStore = {
      ...store,
      async complete(claim, answer) {
        offered += 1;
        if (offered < 3) throw new Error("the store is down");
        return store.complete(claim, answer);
      },
    };
    const orders = connect(await serve(createOrder, { store: flaky }, { onError: () => {} }));
    expect(await orders.createOrder({}, key)).toMatchObject({ orderId: "o-1" });
    expect(await orders.createOrder({}, key)).toMatchObject({ orderId: "o-1" });
    expect([keys.length, offered]).toEqual([1, 3]);
  });

  test("gives no answer that is not kept, and asks clients not to repeat the call by themselves", async () => {
    const { createOrder, keys } = counting();
    const store: IdempotencyStore = {
      ...memoryIdempotency(),
      complete: async () => {
        throw new Error("the store is down");
      },
    };
    const orders = connect(await serve(createOrder, { store, leaseMs: 100 }, { onError: () => {} }));
    const error = await rejection(orders.createOrder({}, key));
    expect(error).toMatchObject({ code: Status.UNAVAILABLE, attempts: 1, retryStop: "PUSHBACK" });
    expect(keys).toHaveLength(1);
  });

  test("middlewares around it see messages, kept ones too", async () => {
    const seen: unknown[] = [];
    const { createOrder } = counting();
    const port = await serve(createOrder, kept(), {
      use: [
        async function* (call, context) {
          const answer = yield* call.next(call.request, context);
          seen.push(Reflect.get(Object(answer), "orderId"));
          return answer as never;
        },
      ],
    });
    const orders = connect(port);
    await orders.createOrder({}, key);
    await orders.createOrder({}, key);
    expect(seen).toEqual(["o-1", "o-1"]);
  });

  test("tells its observer what it does about keys", async () => {
    const actions: string[] = [];
    const { createOrder } = counting();
    const port = await serve(createOrder, kept(), {
      observer: (event) => {
        if (event.type === "policy") actions.push(`${event.method} ${event.policy} ${event.action}`);
      },
    });
    const orders = connect(port);
    await orders.createOrder({}, key);
    await orders.createOrder({}, key);
    await rejection(orders.createOrder({ customerId: "c-1" }, key));
    expect(actions).toEqual([`${CREATE_ORDER} idempotency replayed`, `${CREATE_ORDER} idempotency conflict`]);
  });

  describe("commit, in SQLite", () => {
    /** A server whose handler writes orders into the store's own file. */
    async function open(after: (n: number) => void = () => {}) {
      const database = new DatabaseSync(temporaryFile("orders.db"));
      onTestFinished(() => database.close());
      database.exec("CREATE TABLE orders (customer TEXT)");
      const errors: unknown[] = [];
      const port = await serve(
        async ({ customerId }, { idempotency }) => {
          const order = await idempotency.commit(database, (tx) => {
            const { lastInsertRowid } = tx.prepare("INSERT INTO orders VALUES (?)").run(customerId);
            if (customerId === "nobody") fail("NOT_FOUND", "who?");
            return { orderId: `o-${lastInsertRowid}`, customerId };
          });
          after(Number(order.orderId.slice(2)));
          return order;
        },
        { store: sqliteIdempotency(database) },
        { onError: (error) => void errors.push(error) },
      );
      const count = () => database.prepare("SELECT count(*) AS count FROM orders").get()?.count;
      return { port, orders: connect(port), count, errors };
    }

    test("keeps order and answer together", async () => {
      const { orders, count } = await open();
      const order = await orders.createOrder({ customerId: "c-1" }, key);
      expect(await orders.createOrder({ customerId: "c-1" }, key)).toEqual(order);
      expect(count()).toBe(1);
    });

    test("what was committed stands, whatever happens after it", async () => {
      const { orders, count, errors } = await open(() => {
        throw new Error("the mail could not be sent");
      });
      expect(await rejection(orders.createOrder({}, key))).toMatchObject({ code: Status.INTERNAL });
      expect(await orders.createOrder({}, key)).toMatchObject({ orderId: "o-1" });
      expect([count(), errors]).toEqual([1, [new Error("the mail could not be sent")]]);
    });

    test("work that throws leaves no order, and the key free", async () => {
      const { orders, count } = await open();
      expect(await rejection(orders.createOrder({ customerId: "nobody" }, key))).toBeInstanceOf(RpcError);
      expect(count()).toBe(0);
      expect(await orders.createOrder({ customerId: "c-1" }, key)).toMatchObject({ orderId: "o-1" });
    });

    test("without a key it is a plain transaction", async () => {
      const { port, count } = await open();
      const orders = bareClient(port);
      await orders.createOrder({});
      await orders.createOrder({});
      await rejection(orders.createOrder({ customerId: "nobody" }));
      expect(count()).toBe(2);
    });
  });

  test.each<[string, CreateOrder, RegExp]>([
    [
      "on a store that is no database",
      (_, { idempotency }) => idempotency.commit({}, () => ({})),
      /needs a store in a database/,
    ],
  ])("commit is refused %s", async (_, createOrder, message) => {
    const errors: unknown[] = [];
    const port = await serve(createOrder, kept(), { onError: (error) => void errors.push(error) });
    expect(await rejection(connect(port).createOrder({}))).toMatchObject({ code: Status.INTERNAL });
    expect(errors).toEqual([expect.objectContaining({ name: "TypeError", message: expect.stringMatching(message) })]);
  });
});

test("drain waits until an answer is kept whose client has left", async () => {
  const { createOrder } = counting();
  const [began, slow, ended] = [gate(), gate(), gate()];
  const store = memoryIdempotency();
  const kept: boolean[] = [];
  const complete: IdempotencyStore["complete"] = async (claim, answer) => {
    began.resolve();
    await slow.promise;
    kept.push(await store.complete(claim, answer));
    return true;
  };
  const observer = (event: ObserverEvent) => void (event.type === "served.ended" && ended.resolve());
  const options = { drainOn: [], validation: false, authenticate: false, observer } as const;
  const server = createServer({ ...options, idempotency: { store: { ...store, complete } } });
  server.add(KeyedOrders, ordersHandlers({ createOrder }));
  const orders = connect(await server.listen("127.0.0.1:0"));
  const controller = new AbortController();
  const left = rejection(orders.createOrder({}, { signal: controller.signal }));
  await began.promise;
  controller.abort("gone");
  expect(await left).toBe("gone");
  const drained = server.drain().then(() => kept.slice());
  setTimeout(slow.resolve, 60);
  expect(await drained).toEqual([true]);
  await ended.promise;
});

describe("a server without a store", () => {
  const message = /CreateOrder, so clients repeat it; give the server \{ idempotency: \{ store \} \}/;

  test("does not serve a contract with keys", () => {
    expect(() => createServer().add(KeyedOrders, ordersHandlers({}))).toThrow(message);
    expect(() => serverMiddleware(KeyedOrders)).toThrow(message);
    expect(() => serverMiddleware(KeyedOrders, { idempotency: {} as never })).toThrow(/idempotency.store is missing/);
  });

  test("does so where it is to recognise no repetition", () => {
    createServer({ idempotency: false, validation: false, authenticate: false }).add(KeyedOrders, ordersHandlers({}));
    serverMiddleware(KeyedOrders, { idempotency: false, validation: false, authenticate: false });
  });
});
