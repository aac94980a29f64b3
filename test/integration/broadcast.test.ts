import { setImmediate } from "node:timers/promises";
import { fail, RpcError, Status } from "bowline";
import { createServer } from "bowline/server";
import { map, merge } from "bowline/stream";
import {
  createChannel,
  createClient as createNiceClient,
  createServer as createNiceServer,
  ServerError,
} from "nice-grpc";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { OrderService, type OrderServiceClient } from "../../gen/shop/orders/v1/orders.contract.ts";
import { OrderEvent } from "../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../src/contract/contract.ts";
import { OrderEvents } from "../support/order-events.ts";
import { connectOrders, ordersHandlers, rejection, serveOrders } from "../support/orders.ts";
import { portOf, proxyTo } from "../support/through-proxy.ts";

/** One customer's revisions as a client has them that comes back from the last one after each failure. */
class Watching {
  readonly got: bigint[] = [];
  readonly errors: unknown[] = [];
  readonly #orders: OrderServiceClient;
  readonly #customerId: string;

  constructor(orders: OrderServiceClient, customerId: string) {
    this.#orders = orders;
    this.#customerId = customerId;
  }

  /** Reads until an event; whoever fails ten times gives up. */
  async readUntil(last: bigint): Promise<void> {
    while (this.got.at(-1) !== last && this.errors.length < 10) {
      try {
        for await (const { revision } of this.open()) {
          this.got.push(revision);
          if (revision === last) break;
        }
      } catch (error) {
        this.errors.push(error);
      }
    }
  }

  open(): AsyncIterable<OrderEvent> {
    return this.#orders.watchOrders({ customerId: this.#customerId, afterRevision: this.got.at(-1) ?? 0n });
  }
}

describe("over sockets", () => {
  const CUSTOMERS = Array.from({ length: 20 }, (_, index) => `c-${index}`);
  const SUBSCRIBERS = 200;
  const EVENTS = 1_500;

  test("hundreds of subscribers, some on connections that are cut and one that does not read, get each event once", async () => {
    const events = new OrderEvents(50, { history: 100, maxLagMessages: 300 });
    const { port } = await serveOrders({ watchOrders: events.watchOrders });
    const cut = { on: "connection", first: 3, fault: "cut", afterBytes: 40_000 } as const;
    const proxy = await proxyTo(port, [cut]);
    const [direct, proxied] = [connectOrders(port), connectOrders(portOf(proxy))];
    await events.addMany(100, (index) => `c-${index % 20}`);

    const large = "x".repeat(16_000);
    const stuck = new Watching(direct, "large");
    const opened = stuck.open()[Symbol.asyncIterator]();
    const first = opened.next();
    const watching = Array.from({ length: SUBSCRIBERS }, (_, index) => {
      return { customerId: `c-${index % 20}`, watcher: new Watching(index % 2 ? direct : proxied, `c-${index % 20}`) };
    });
    const last = new Map(CUSTOMERS.map((id, index) => [id, BigInt(EVENTS + 100 + index + 1)]));
    const read = watching.map(({ customerId, watcher }) => watcher.readUntil(last.get(customerId) ?? 0n));
    await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(SUBSCRIBERS + 1));

    // Of five events one is large, for the one that does not read: more than a connection holds.
    const customerOf = (index: number) => (index % 5 ? `c-${index % 20}` : "large");
    await events.addMany(EVENTS, customerOf, (index) => (index % 5 ? "" : large));
    for (const customerId of CUSTOMERS) events.add(customerId);
    await Promise.all(read);

    for (const { customerId, watcher } of watching) expect(watcher.got).toEqual(events.revisionsOf(customerId));
    const failed = watching.filter(({ watcher }) => watcher.errors.length > 0);
    expect((await proxy.seen()).connections.filter(({ fault }) => fault).length).toBe(3);
    expect(failed.length).toBeGreaterThanOrEqual(SUBSCRIBERS / 2);

    // All the others are done, and it has read one message. It comes back as any other.
    stuck.got.push((await first).value.revision);
    stuck.errors.push(await rejection(readAll(opened, stuck.got)));
    expect(stuck.errors).toMatchObject([{ code: Status.RESOURCE_EXHAUSTED, origin: "wire" }]);
    const all = events.revisionsOf("large");
    expect(stuck.got).toEqual(all.slice(0, stuck.got.length));
    expect(stuck.got.length).toBeLessThan(all.length);
    await stuck.readUntil(all.at(-1) ?? 0n);
    expect(stuck.got).toEqual(all);
    await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(0));
    expect(events.broadcast.stats().disconnected).toBeGreaterThanOrEqual(1);
    expect(events.broadcast.stats().held).toBe(300);
  });

  test.each<[string, number]>([
    ["in one turn", Number.POSITIVE_INFINITY],
    ["in pages of 100 with a turn after each", 100],
  ])("a burst of more than maxLagMessages, %s, ends nobody's stream while memory has it", async (_, page) => {
    const events = new OrderEvents(50, { startAfter: 0n, history: 2_000, maxLagMessages: 500 });
    const { port } = await serveOrders({ watchOrders: events.watchOrders });
    const watching = Array.from({ length: 20 }, () => new Watching(connectOrders(port), ""));
    const read = watching.map((watcher) => watcher.readUntil(1_501n));
    await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(20));
    const note = "x".repeat(1_000);
    for (let event = 1; event <= 1_501; event += 1) {
      events.add("c-1", note);
      if (event % page === 0) await setImmediate();
    }
    await Promise.all(read);
    for (const { got, errors } of watching) expect([got.length, errors]).toEqual([1_501, []]);
    expect(events.broadcast.stats().disconnected).toBe(0);
  });

  test("a client that leaves, and a server that drains, leave no subscriber behind", async () => {
    const events = new OrderEvents();
    const { server, port } = await serveOrders({ watchOrders: events.watchOrders });
    const orders = connectOrders(port);
    events.add("c-1");
    for await (const { revision } of orders.watchOrders({})) {
      expect(revision).toBe(1n);
      break;
    }
    await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(0));
    const stream = orders.watchOrders({ afterRevision: 1n });
    const read = rejection(stream.next());
    await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(1));
    await server.drain({ timeoutMs: 5_000 });
    expect(await read).toMatchObject({ reason: "DRAINING" });
    expect(events.broadcast.stats().subscribers).toBe(0);
  });

  test.each<[string, (events: AsyncIterable<OrderEvent>) => AsyncIterable<OrderEvent>]>([
    ["a subscription", (events) => events],
    ["operators around one", (events) => map(merge([events]), (event) => event)],
  ])(
    "%s need not be told the call's signal: whoever leaves, and a drain, end it in the middle of a wait",
    async (_, around) => {
      const events = new OrderEvents();
      const watchOrders = ({ afterRevision }: { afterRevision: bigint }) =>
        around(events.broadcast.subscribe({ after: afterRevision }));
      const { server, port } = await serveOrders({ watchOrders });
      const orders = connectOrders(port);
      const watch = async () => {
        const stream = orders.watchOrders({});
        const read = Promise.allSettled([stream.next()]);
        await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(1));
        return { stream, read };
      };
      const first = await watch();
      await first.stream.return();
      await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(0));

      const second = await watch();
      expect(await server.drain({ timeoutMs: 20_000 })).toMatchObject({ abandoned: 0 });
      expect(await second.read).toMatchObject([{ reason: { reason: "DRAINING" } }]);
      expect(events.broadcast.stats().subscribers).toBe(0);
    },
  );

  test("a stream that resumes comes back by itself when it was too slow", async () => {
    const events = new OrderEvents(50, { history: 0, maxLagMessages: 100 });
    const { port } = await serveOrders({ watchOrders: events.watchOrders });
    const stream = connectOrders(port, {}, OrderService).watchOrders({});
    events.add("c-1");
    const got = [(await stream.next()).value?.revision];
    await events.addMany(
      400,
      () => "c-1",
      () => "x".repeat(16_000),
    );
    while (got.length <= 400) got.push((await stream.next()).value?.revision);
    expect(got).toEqual(events.revisionsOf(""));
    expect(events.broadcast.stats().disconnected).toBe(1);
    await stream.return();
  });

  test.each<[string, unknown, string[]]>([
    ["without an error, and a stream that resumes does not come back", undefined, ["1", "done"]],
    ["with UNAVAILABLE, and a stream that resumes does", new ServerError(Status.UNAVAILABLE, "anew"), ["1", "2"]],
  ])("a broadcast is closed %s", async (_, error, expected) => {
    let events = new OrderEvents();
    const { port } = await serveOrders({ watchOrders: (request, context) => events.watchOrders(request, context) });
    const stream = connectOrders(port, {}, OrderService).watchOrders({});
    events.add("c-1");
    const read = async () => String((await stream.next()).value?.revision ?? "done");
    const got = [await read()];
    const old = events;
    events = new OrderEvents();
    events.add("c-1");
    events.add("c-1");
    old.broadcast.close(error);
    got.push(await read());
    expect(got).toEqual(expected);
    await stream.return();
  });

  test("what a replay refuses reaches its client word for word", async () => {
    const events = new OrderEvents(50, { replay: () => fail("OUT_OF_RANGE", "kept since 7") });
    const { port } = await serveOrders({ watchOrders: events.watchOrders });
    const error = await rejection(connectOrders(port).watchOrders({}).next());
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ code: Status.OUT_OF_RANGE, details: "kept since 7" });
  });
});

describe("a message is encoded", () => {
  const SUBSCRIBERS = 50;
  const EVENTS = 20;

  /** How often events are encoded to get to all subscribers. */
  async function countEncodings(events: OrderEvents, watchOrders: OrderEvents["watchOrders"]): Promise<number> {
    const encode = vi.fn(OrderEvent.encode);
    const { definition } = OrderService;
    const responseType = { ...OrderEvent, encode };
    const methods = { ...definition.methods, watchOrders: { ...definition.methods.watchOrders, responseType } };
    const counted = contract({ ...OrderService, definition: { ...definition, methods } });
    const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false }).add(
      counted as typeof OrderService,
      ordersHandlers({ watchOrders }),
    );
    const port = await server.listen("127.0.0.1:0");
    onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
    const watching = Array.from({ length: SUBSCRIBERS }, () => new Watching(connectOrders(port), ""));
    const read = watching.map((watcher) => watcher.readUntil(BigInt(EVENTS)));
    await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(SUBSCRIBERS));
    await events.addMany(EVENTS, () => "c-1");
    await Promise.all(read);
    for (const { got } of watching) expect(got).toEqual(events.revisionsOf(""));
    return encode.mock.calls.length;
  }

  test("once for all subscribers, be it yielded or returned", async () => {
    const [returned, yielded] = [new OrderEvents(), new OrderEvents()];
    expect(await countEncodings(returned, returned.watchOrders)).toBe(EVENTS);
    const yielding: OrderEvents["watchOrders"] = async function* (...call) {
      yield* yielded.watchOrders(...call);
    };
    expect(await countEncodings(yielded, yielding)).toBe(EVENTS);
  });

  test("for each subscriber where a handler makes a message of its own", async () => {
    const events = new OrderEvents();
    const copying: OrderEvents["watchOrders"] = async function* (...call) {
      for await (const event of events.watchOrders(...call)) yield { ...event };
    };
    expect(await countEncodings(events, copying)).toBe(EVENTS * SUBSCRIBERS);
  });
});

test("bare nice-grpc serves and reads it", async () => {
  const events = new OrderEvents();
  const server = createNiceServer();
  server.add(OrderService.definition, ordersHandlers({ watchOrders: events.watchOrders }) as never);
  const channel = createChannel(`127.0.0.1:${await server.listen("127.0.0.1:0")}`);
  onTestFinished(() => {
    channel.close();
    server.forceShutdown();
  });
  const orders = createNiceClient(OrderService.definition, channel);
  await events.addMany(10, () => "c-1");
  const got: bigint[] = [];
  for await (const { revision } of orders.watchOrders({ afterRevision: 3n })) {
    got.push(revision);
    if (revision === 10n) events.add("c-1");
    if (revision === 11n) break;
  }
  expect(got).toEqual(events.revisionsOf("").slice(3));
  await vi.waitFor(() => expect(events.broadcast.stats().subscribers).toBe(0));
});

async function readAll(stream: AsyncIterator<OrderEvent>, into: bigint[]): Promise<void> {
  for (let result = await stream.next(); !result.done; result = await stream.next()) into.push(result.value.revision);
}
