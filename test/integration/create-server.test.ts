import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import { closeClient, createClient, fail, type RpcError, Status } from "bowline";
import { createServer, type DrainOptions, serverMiddleware } from "bowline/server";
import { createChannel, createClient as createNiceClient, type ServerMiddleware } from "nice-grpc";
import { expect, onTestFinished, test, vi } from "vitest";
import { Health } from "../../gen/health/v1/health.contract.ts";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { connectOrders, gate, ordersHandlers, rejection, serveOrders } from "../support/orders.ts";

test("refuses handlers that are not all there, and a service that is there already", () => {
  const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false });
  const { getOrder: _, watchOrders: __, ...some } = ordersHandlers({});
  // @ts-expect-error: the types say so too
  expect(() => server.add(OrderService, some)).toThrow(
    "shop.orders.v1.OrderService: no handler for getOrder, watchOrders",
  );
  server.add(OrderService, ordersHandlers({}));
  expect(() => server.add(OrderService, ordersHandlers({}))).toThrow("is served already");
});

test("names all at once that is wrong with a service: its handlers, and what its contract needs of the server", () => {
  const { getOrder, ...some } = ordersHandlers({});
  const handlers = { ...some, getOrdr: getOrder } as never;
  const needs = [
    "the contract has an idempotency_key for /shop.orders.v1.OrderService/CreateOrder",
    "the contract has auth for /shop.orders.v1.OrderService/CreateOrder",
    "the contract has constraints on the requests of CreateOrder",
  ];
  const all = [
    "shop.orders.v1.OrderService: no handler for getOrder",
    "no method is called getOrdr: there are createOrder, getOrder,",
    ...needs,
  ];
  expect(() => createServer({ drainOn: [] }).add(OrderService, handlers)).toThrow(inOrder(all));
  const middleware = ["serverMiddleware(shop.orders.v1.OrderService): there is no option idempotence", ...needs];
  expect(() => serverMiddleware(OrderService, { idempotence: false } as never)).toThrow(inOrder(middleware));
});

test("serves nothing of a service that it refuses", () => {
  const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false });
  const { getOrder: _, ...some } = ordersHandlers({});
  expect(() => server.add(OrderService, some as never)).toThrow("no handler for getOrder");
  expect(server.health.get(OrderService.name)).toBeUndefined();
  server.add(OrderService, ordersHandlers({}));
});

test("says that it takes the contract, and no other of the values beside it", () => {
  const given = ordersHandlers({});
  const none = "the first argument is no contract; pass the service's value out of its .contract.ts";
  expect(() => createServer({ drainOn: [] }).add(OrderService.definition as never, given as never)).toThrow(
    new TypeError(`server.add: ${none}`),
  );
  expect(() => serverMiddleware(OrderService.definition as never)).toThrow(new TypeError(`serverMiddleware: ${none}`));
});

/** A text that has all of these, one after the other. */
function inOrder(parts: readonly string[]): RegExp {
  const escaped = parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join(".*; ")}`);
}

test("names all that is wrong with its options", () => {
  expect(() => createServer({ drainTimeoutMs: 0, maxReceiveMessageBytes: -1 })).toThrow(
    "createServer: drainTimeoutMs must be greater than zero; it is 0; maxReceiveMessageBytes must be greater than zero; it is -1",
  );
});

test("rejects where the address cannot be bound", async () => {
  const { port } = await serveOrders({});
  await expect(createServer({ drainOn: [] }).listen(`127.0.0.1:${port}`)).rejects.toThrow(
    new Error(`cannot listen on 127.0.0.1:${port}: EADDRINUSE: address already in use`),
  );
});

test("leaves an address as it is that it serves already", async () => {
  const { server, port } = await serveOrders({ getOrder: async ({ orderId }) => ({ orderId }) });
  expect(await server.listen(`127.0.0.1:${port}`)).toBe(port);
  expect(await connectOrders(port).getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
});

test("tells of a stream's handler that returns no stream, by its method; its client gets INTERNAL", async () => {
  const errors: unknown[] = [];
  const { port } = await serveOrders(
    { watchOrders: (async () => fail("NOT_FOUND", "no such customer")) as never },
    { onError: (error) => errors.push(error) },
  );
  const read = Array.fromAsync(connectOrders(port).watchOrders({ customerId: "c-1" }, { retry: false }));
  expect(await rejection(read)).toMatchObject({ code: Status.INTERNAL, details: "internal error" });
  expect(errors).toEqual([
    expect.objectContaining({
      name: "TypeError",
      message: expect.stringMatching(/^\/shop\.orders\.v1\.OrderService\/WatchOrders: .* it returned a promise$/),
    }),
  ]);
});

test("serves nice-grpc's own client", async () => {
  const { port } = await serveOrders({ getOrder: async ({ orderId }) => ({ orderId }) });
  const channel = createChannel(`127.0.0.1:${port}`);
  onTestFinished(() => channel.close());
  const orders = createNiceClient(OrderService.definition, channel);
  expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1" });
});

test("serves methods of handlers that are a class", async () => {
  class Orders {
    readonly prefix = "o-";
    readonly handlers = ordersHandlers({ getOrder: async ({ orderId }) => ({ orderId: this.prefix + orderId }) });
  }
  const { handlers } = new Orders();
  const { port } = await serveOrders(handlers);
  expect(await connectOrders(port).getOrder({ orderId: "1" })).toMatchObject({ orderId: "o-1" });
});

test("runs nice-grpc's middlewares outermost, the first the outermost of them", async () => {
  const steps: string[] = [];
  const step = (name: string): ServerMiddleware<{ user: string }> =>
    async function* (call, context) {
      steps.push(`${name} in`);
      try {
        return yield* call.next(call.request, { ...context, metadata: context.metadata, user: name } as never);
      } finally {
        steps.push(`${name} out`);
      }
    };
  const { port } = await serveOrders(
    {
      async getOrder(_request, context) {
        steps.push("handler");
        return { orderId: (context as unknown as { user: string }).user };
      },
    },
    { use: [step("first"), step("second")] },
  );
  expect(await connectOrders(port).getOrder({})).toMatchObject({ orderId: "second" });
  expect(steps).toEqual(["first in", "second in", "handler", "second out", "first out"]);
});

test("runs grpc-js's interceptors besides its own", async () => {
  const acknowledged: boolean[] = [];
  const watch: ServerInterceptor = (_method, call) => {
    const sendMessage = call.sendMessage;
    call.sendMessage = (message, written) => {
      let early = false;
      sendMessage.call(call, message, () => {
        early = true;
        written();
      });
      acknowledged.push(early);
    };
    return call as ServerInterceptingCall;
  };
  const getOrder = async () => ({ orderId: "o-1" });
  const { port } = await serveOrders({ getOrder }, { channelOptions: { interceptors: [watch] } });
  expect(await connectOrders(port).getOrder({})).toMatchObject({ orderId: "o-1" });
  expect(acknowledged).toEqual([true]);
});

test("suspends a handler whose client has stopped reading", async () => {
  let produced = 0;
  const message = { orderId: "x".repeat(10_000) };
  const { port } = await serveOrders({
    async *listOrders() {
      for (; produced < 5_000; produced += 1) yield message;
    },
  });
  const stream = connectOrders(port).listOrders({});
  await stream.next();
  for (let last = -1; last !== produced; ) {
    last = produced;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(produced).toBeLessThan(1_000);
  await stream.return();
});

test("Check, Watch and List say how healthy services are", async () => {
  const { server, port } = await serveOrders({});
  const health = createClient(Health, `127.0.0.1:${port}`);
  onTestFinished(() => closeClient(health));
  const name = OrderService.name;
  expect((await health.check({ service: name })).status).toBe(1);
  expect((await health.check({})).status).toBe(1);
  expect(await rejection(health.check({ service: "none" }))).toMatchObject({ code: Status.NOT_FOUND });
  const known = health.watch({ service: name })[Symbol.asyncIterator]();
  const unknown = health.watch({ service: "later.Service-1" })[Symbol.asyncIterator]();
  expect((await known.next()).value?.status).toBe(1);
  expect((await unknown.next()).value?.status).toBe(3);
  server.health.set(name, "NOT_SERVING");
  server.add(emptyService(1), {});
  expect((await known.next()).value?.status).toBe(2);
  expect((await unknown.next()).value?.status).toBe(1);
  const { statuses } = await health.list({});
  const listed = Object.entries(statuses).map(([service, response]) => [service, response.status]);
  expect(listed).toEqual([
    ["", 1],
    [name, 2],
    ["later.Service-1", 1],
  ]);
  expect(() => server.health.set("none", "NOT_SERVING")).toThrow(
    `service must be one that was added to the server, which has "", "${name}", "later.Service-1"; it is "none"`,
  );
  for (let index = 2; index <= 100; index += 1) server.add(emptyService(index), {});
  expect(await rejection(health.list({}))).toMatchObject({ code: Status.RESOURCE_EXHAUSTED });
});

/** A contract without methods. */
function emptyService(index: number) {
  const definition = { name: "Service", fullName: `later.Service-${index}`, methods: {} };
  return contract<typeof definition, unknown, object>({
    ...{ definition, service: {}, methods: {}, cursors: {} },
    descriptors: () => "",
  });
}

test("drains: health, then streams, then calls under way, and no more", async () => {
  const calls = gate();
  const began = gate();
  const aborted: unknown[] = [];
  const { server, port } = await serveOrders({
    async getOrder() {
      began.resolve();
      await calls.promise;
      return { orderId: "finished" };
    },
    async *watchOrders(_request, context) {
      context.trailer.set("x-last", "7");
      yield { revision: 7n };
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      aborted.push((context.signal.reason as RpcError).reason);
    },
  });
  const orders = connectOrders(port);
  const health = createClient(Health, `127.0.0.1:${port}`);
  onTestFinished(() => closeClient(health));
  const watched = health.watch({})[Symbol.asyncIterator]();
  expect((await watched.next()).value?.status).toBe(1);
  const stream = orders.watchOrders({});
  await stream.next();
  const call = orders.getOrder({}, { timeoutMs: 10_000 });
  await began.promise;
  const drained = server.drain({ timeoutMs: 10_000 });
  expect(server.drain()).toBe(drained);
  expect((await watched.next()).value?.status).toBe(2);
  expect(await rejection(watched.next())).toMatchObject({ reason: "DRAINING" });
  const error = (await rejection(stream.next())) as RpcError;
  expect(error).toMatchObject({ code: Status.UNAVAILABLE, reason: "DRAINING", origin: "wire" });
  expect(error.trailer?.get("bowline-drain")).toBe("1");
  expect(error.trailer?.get("x-last")).toBe("7");
  expect(server.activeCalls).toBe(1);
  calls.resolve();
  expect(await call).toMatchObject({ orderId: "finished" });
  expect(await drained).toEqual({ abandoned: 0 });
  expect(aborted).toEqual(["DRAINING"]);
  expect(await rejection(orders.getOrder({}))).toMatchObject({ reason: "TRANSPORT" });
});

test("says that it drains also where the handler wrote a trailer that cannot be sent, and tells onError of it", async () => {
  const began = gate();
  const onError = vi.fn();
  const tooMuch = "~".repeat(60_000);
  const { server, port } = await serveOrders(
    {
      getOrder(_request, context) {
        context.trailer.set("x-much", tooMuch);
        began.resolve();
        return new Promise<never>(() => {});
      },
      async *watchOrders(_request, context) {
        context.trailer.set("x-much", tooMuch);
        yield { revision: 7n };
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      },
    },
    { onError },
  );
  const orders = connectOrders(port);
  const stream = orders.watchOrders({});
  await stream.next();
  const call = rejection(orders.getOrder({}, { retry: false, timeoutMs: 10_000 }));
  await began.promise;
  const drained = server.drain({ timeoutMs: 50 });
  const ends = [(await rejection(stream.next())) as RpcError, (await call) as RpcError];
  expect(await drained).toEqual({ abandoned: 1 });
  expect(ends).toMatchObject(Array(2).fill({ code: Status.UNAVAILABLE, reason: "DRAINING", origin: "wire" }));
  expect(ends.map(({ trailer }) => [trailer?.get("bowline-drain"), trailer?.has("x-much")])).toEqual(
    Array(2).fill(["1", false]),
  );
  const told = onError.mock.calls.map(([error, { method }]) => [method.name, String(error)]);
  expect(told).toEqual([
    ["WatchOrders", expect.stringMatching(/^TypeError: the trailer cannot be sent: \d+ bytes of it, /)],
    ["GetOrder", expect.stringMatching(/^TypeError: the trailer cannot be sent: \d+ bytes of it, /)],
  ]);
});

test("listens no further once it drains, and says what to do instead", async () => {
  const { server } = await serveOrders({});
  const drained = "the server is drained, and does not begin again: make a new one with createServer()";
  const refused = new Error(`cannot listen on 127.0.0.1:0: ${drained}`);
  const drain = server.drain({ delayMs: 5 });
  await expect(server.listen("127.0.0.1:0")).rejects.toThrow(refused);
  await drain;
  await expect(server.listen("127.0.0.1:0")).rejects.toThrow(refused);
  await expect(server.listen("nowhere")).rejects.toThrow(TypeError);
});

test("breaks off what does not finish in the time of a drain, and says how many", async () => {
  const began = gate();
  const told = gate<unknown>();
  const { server, port } = await serveOrders({
    async getOrder(_request, context) {
      began.resolve();
      context.signal.addEventListener("abort", () => told.resolve(context.signal.reason));
      return new Promise(() => {});
    },
  });
  const call = rejection(connectOrders(port).getOrder({}, { timeoutMs: 10_000 }));
  await began.promise;
  expect(await server.drain({ timeoutMs: 20 })).toEqual({ abandoned: 1 });
  expect(await told.promise).toMatchObject({ reason: "DRAINING" });
  expect(await call).toMatchObject({ code: Status.UNAVAILABLE, reason: "DRAINING" });
});

test.each([3e9, Number.POSITIVE_INFINITY])("loses no call in a drain that may take %d ms", async (timeoutMs) => {
  const calls = gate();
  const began = gate();
  const { server, port } = await serveOrders({
    async getOrder() {
      began.resolve();
      await calls.promise;
      return { orderId: "finished" };
    },
  });
  const orders = connectOrders(port);
  const call = orders.getOrder({}, { timeoutMs: 10_000 });
  await began.promise;
  const drained = server.drain({ timeoutMs });
  await new Promise((resolve) => setTimeout(resolve, 50));
  calls.resolve();
  expect(await call).toMatchObject({ orderId: "finished" });
  expect(await drained).toEqual({ abandoned: 0 });
});

test.each<[unknown, string]>([
  [null, "the options must be an object; they are null"],
  [{ timeoutMs: -1 }, "timeoutMs must be zero or greater; it is -1"],
  [{ timeoutMs: "30000", delay: 5 }, 'timeoutMs must be zero or greater; it is "30000"; there is no option delay; '],
])("refuses to drain with %j, and serves on", async (options, problem) => {
  const { server, port } = await serveOrders({ getOrder: async () => ({ orderId: "o-1" }) });
  const error = await rejection(server.drain(options as DrainOptions));
  expect([error instanceof TypeError, String(error)]).toEqual([true, expect.stringContaining(`drain: ${problem}`)]);
  expect(await connectOrders(port).getOrder({})).toMatchObject({ orderId: "o-1" });
});

test("listens to signals from the first address that it serves until it is drained", async () => {
  const before = process.listenerCount("SIGUSR2");
  const server = createServer({ drainOn: ["SIGUSR2"], idempotency: false, validation: false, authenticate: false });
  expect(process.listenerCount("SIGUSR2")).toBe(before);
  const { port } = await serveOrders({});
  await expect(server.listen(`127.0.0.1:${port}`)).rejects.toThrow();
  expect(process.listenerCount("SIGUSR2")).toBe(before);
  await server.listen("127.0.0.1:0");
  await server.listen("127.0.0.1:0");
  expect(process.listenerCount("SIGUSR2")).toBe(before + 1);
  await server.drain({ timeoutMs: 10 });
  expect(process.listenerCount("SIGUSR2")).toBe(before);
});

test("eleven servers listen to a signal once, and drain together", async () => {
  const kill = vi.spyOn(process, "kill").mockImplementation(() => true);
  onTestFinished(() => kill.mockRestore());
  const servers = await Promise.all(
    Array.from({ length: 11 }, async () => (await serveOrders({}, { drainOn: ["SIGUSR2"] })).server),
  );
  expect(process.listenerCount("SIGUSR2")).toBe(1);
  process.emit("SIGUSR2");
  await Promise.all(servers.map((server) => server.drain()));
  await expect.poll(() => kill.mock.calls.length).toBe(1);
  expect(process.listenerCount("SIGUSR2")).toBe(0);
  expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, "SIGUSR2");
});

test("says before the signal takes its course on which calls the drain that it began gave up", async () => {
  const order: string[] = [];
  const kill = vi.spyOn(process, "kill").mockImplementation(() => {
    order.push("the signal");
    return true;
  });
  const listen = ({ message }: Error) => void order.push(message);
  process.on("warning", listen);
  onTestFinished(() => {
    kill.mockRestore();
    process.off("warning", listen);
  });
  const begun = gate();
  const hang = () => {
    begun.resolve();
    return new Promise<never>(() => {});
  };
  const { port, server } = await serveOrders({ getOrder: hang }, { drainOn: ["SIGUSR2"], drainTimeoutMs: 20 });
  // Its client has left: the handler is waited for all the same.
  const left = rejection(connectOrders(port).getOrder({}, { signal: AbortSignal.timeout(100) }));
  await begun.promise;
  await left;
  process.emit("SIGUSR2");
  expect(await server.drain()).toEqual({ abandoned: 1 });
  await expect.poll(() => order).toHaveLength(2);
  expect(order).toEqual([
    "bowline: the drain gave up on 1 call whose handler had not ended after 20 ms: /shop.orders.v1.OrderService/GetOrder (1)",
    "the signal",
  ]);
});

test("warns of nothing where the application drains, which gets the result", async () => {
  const warned = vi.spyOn(process, "emitWarning");
  onTestFinished(() => warned.mockRestore());
  const begun = gate();
  const hang = () => {
    begun.resolve();
    return new Promise<never>(() => {});
  };
  const { port, server } = await serveOrders({ getOrder: hang });
  const call = rejection(connectOrders(port).getOrder({}, { retry: false }));
  await begun.promise;
  expect(await server.drain({ timeoutMs: 1 })).toEqual({ abandoned: 1 });
  expect(await call).toMatchObject({ code: Status.UNAVAILABLE });
  expect(warned).not.toHaveBeenCalled();
});

test("drains on SIGTERM, and the process ends by the signal", async () => {
  const child = fork(new URL("../support/draining-server.ts", import.meta.url), { execArgv: process.execArgv });
  onTestFinished(() => void child.kill("SIGKILL"));
  const port = await message(child);
  const orders = connectOrders(port);
  const call = orders.getOrder({ orderId: "slow" }, { timeoutMs: 10_000 });
  await message(child);
  child.kill("SIGTERM");
  expect(await call).toMatchObject({ orderId: "slow" });
  const [code, signal] = await once(child, "exit");
  expect([code, signal]).toEqual([null, "SIGTERM"]);
});

async function message(child: ChildProcess): Promise<number> {
  const [value] = await once(child, "message");
  return value;
}
