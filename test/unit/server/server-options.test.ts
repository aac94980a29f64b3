import { createServer, serverMiddleware } from "bowline/server";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { OrderService } from "../../../gen/shop/orders/v1/orders.contract.ts";
import type { currentCall } from "../../../src/core/call-context.ts";
import { drainOnSignal } from "../../../src/server/drain-on-signal.ts";
import {
  checkServerOptions,
  type ListenOptions,
  type ServerOptions,
  writeError,
} from "../../../src/server/server-options.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

test.each<[ServerOptions, string]>([
  [{ drainTimeoutMs: 0 }, "drainTimeoutMs must be greater than zero; it is 0"],
  [{ drainDelayMs: -1 }, "drainDelayMs must be finite, zero or greater; it is -1"],
  [{ drainDelayMs: Number.POSITIVE_INFINITY }, "drainDelayMs must be finite, zero or greater; it is Infinity"],
  [{ maxConcurrentChecks: 0.5 }, "maxConcurrentChecks must be a whole number of at least 1; it is 0.5"],
  [{ drainTimeoutMs: Number.NaN }, "drainTimeoutMs must be greater than zero; it is NaN"],
  [{ maxReceiveMessageBytes: -1 }, "maxReceiveMessageBytes must be greater than zero; it is -1"],
  [{ maxStreamResetsPerSecond: 0 }, "maxStreamResetsPerSecond must be greater than zero; it is 0"],
  [{ onError: "log" as never }, 'onError must be a function; it is "log"'],
  [{ drainOn: "SIGTERM" as never }, 'drainOn must be an array of signals that can be caught; it is "SIGTERM"'],
  [{ drainOn: ["SIGFOO"] as never }, 'drainOn must be an array of signals that can be caught; it is ["SIGFOO"]'],
  [{ drainOn: ["SIGKILL"] }, 'drainOn must be an array of signals that can be caught; it is ["SIGKILL"]'],
  [
    { drainTimeout: 5 } as ServerOptions,
    "there is no option drainTimeout; there are use, observer, onError, drainOn, drainTimeoutMs, drainDelayMs, " +
      "idempotency, rateLimit, shed, maxConcurrentChecks, authenticate, endStreamsAtExpiry, " +
      "reflection, validation, maxReceiveMessageBytes, maxMetadataBytes, maxStreamsPerConnection, " +
      "maxStreamResetsPerSecond, maxConnections, maxConnectionsPerPeer, maxConnectionIdleMs, maxConnectionAgeMs, " +
      "maxConnectionAgeGraceMs, keepaliveTimeMs, keepaliveTimeoutMs, channelOptions",
  ],
  [
    { idempotency: { leaseMs: 99, lease: 1 } as never },
    "idempotency.leaseMs must be finite and at least 100; it is 99; there is no option idempotency.lease; there are " +
      "store, leaseMs; idempotency.store is missing: say where answers are kept",
  ],
  [
    { idempotency: { store: new Map() as never, leaseMs: Number.POSITIVE_INFINITY } },
    "idempotency.store must be a store, such as memoryIdempotency(); " +
      "idempotency.leaseMs must be finite and at least 100; it is Infinity",
  ],
  [
    { shed: { maxConcurrent: "x", maxQueued: -1, maxWaitMs: 0, loopDelayMs: "x", queue: 1 } as never },
    'shed.maxConcurrent must be a number; it is "x"; shed.loopDelayMs must be a number; it is "x"; ' +
      "there is no option shed.queue; there are maxConcurrent, adaptive, maxQueued, maxWaitMs, loopDelayMs, " +
      "trustCriticality; shed.maxQueued must be a whole number of at least 0; it is -1; " +
      "shed.maxWaitMs must be greater than zero; it is 0 ms",
  ],
  [{ shed: { maxQueued: "x", maxWaitMs: 5 } as never }, 'shed.maxQueued must be a number; it is "x"'],
  [
    { shed: { maxConcurrent: 0, loopDelayMs: "x" } as never },
    'shed.loopDelayMs must be a number; it is "x"; shed.maxConcurrent must be a whole number of at least 1; it is 0',
  ],
  [
    { rateLimit: { calls: "x", perMs: -1, burst: 0, key: "q" } as never },
    'rateLimit.calls must be a number; it is "x"; rateLimit.perMs must be greater than zero; it is -1 ms; ' +
      "rateLimit.burst must be a whole number of at least 1; it is 0; " +
      'rateLimit.key must be one of identity, peer, method; it is "q"',
  ],
  [
    { rateLimit: { perMs: "x", methods: { "/a/B": { calls: 1e-9, perMs: "x" } } } as never },
    'rateLimit.perMs must be a number; it is "x"; rateLimit has no calls: say how many there may be; ' +
      'rateLimit.methods["/a/B"].perMs must be a number; it is "x"',
  ],
  [{ idempotency: true as never }, "idempotency must be { store, leaseMs }, or false; it is true"],
  [
    { authenticate: [] },
    "authenticate must be a function such as jwt({ … }), an array of them, not empty, or false; it is ",
  ],
  [
    { authenticate: {} as never, reflection: "yes" as never, endStreamsAtExpiry: 1 as never },
    'reflection must be true, false or "authenticated"; it is "yes"; endStreamsAtExpiry must be true or false; ' +
      "it is 1; authenticate must be a function such as jwt({ … }), an array of them, not empty, or false; " +
      "it is [object Object]",
  ],
  [
    { reflection: "authenticated", endStreamsAtExpiry: true },
    'reflection "authenticated" takes authenticate; endStreamsAtExpiry takes authenticate',
  ],
  [
    { maxReceiveMessageBytes: 0, drainTimeoutMs: -1 },
    "maxReceiveMessageBytes must be greater than zero; it is 0; drainTimeoutMs must be greater than zero; it is -1",
  ],
])("createServer refuses %j, all at once", (options, problems) => {
  expect(() => checkServerOptions(options)).toThrow(new TypeError(`createServer: ${problems}`));
});

test("createServer takes nothing at all, and limits above zero", () => {
  checkServerOptions({});
  checkServerOptions({ drainTimeoutMs: Number.POSITIVE_INFINITY });
  checkServerOptions({ drainTimeoutMs: 0.5, maxReceiveMessageBytes: 1 });
});

test("a server refuses a service without handlers, and one that it serves already", () => {
  const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false });
  expect(() => server.add(OrderService, {} as never)).toThrow(
    "shop.orders.v1.OrderService: no handler for createOrder",
  );
  const handlers = Object.fromEntries(Object.keys(OrderService.definition.methods).map((key) => [key, vi.fn()]));
  server.add(OrderService, handlers as never);
  expect(() => server.add(OrderService, handlers as never)).toThrow(
    new TypeError("shop.orders.v1.OrderService: the service is served already"),
  );
});

test("errors go to standard error unless somebody asks for them", () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => log.mockRestore());
  const error = new Error("boom");
  writeError(error, { method: { path: "/p" } } as NonNullable<ReturnType<typeof currentCall>>);
  expect(log).toHaveBeenCalledExactlyOnceWith("bowline: /p failed:", error);
});

test("a signal drains, and then takes its course if nobody else listens", async () => {
  const kill = vi.spyOn(process, "kill").mockImplementation(() => true);
  onTestFinished(() => kill.mockRestore());
  const drained = Promise.withResolvers<void>();
  const drain = vi.fn(() => drained.promise);
  drainOnSignal(["SIGUSR2"], drain);
  process.emit("SIGUSR2");
  expect(drain).toHaveBeenCalledOnce();
  await turn();
  expect(kill).not.toHaveBeenCalled();
  drained.resolve();
  await vi.waitFor(() => expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, "SIGUSR2"));
  expect(process.listenerCount("SIGUSR2")).toBe(0);
});

test("others who listen to the signal decide how the process ends", async () => {
  const kill = vi.spyOn(process, "kill").mockImplementation(() => true);
  const other = () => {};
  process.on("SIGUSR2", other);
  onTestFinished(() => {
    kill.mockRestore();
    process.off("SIGUSR2", other);
  });
  drainOnSignal(["SIGUSR2"], async () => {});
  process.emit("SIGUSR2");
  await vi.waitFor(() => expect(process.listeners("SIGUSR2")).toEqual([other]));
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(kill).not.toHaveBeenCalled();
});

test("servers share a listener, and the signal takes its course once all of them are drained", async () => {
  const kill = vi.spyOn(process, "kill").mockImplementation(() => true);
  onTestFinished(() => kill.mockRestore());
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const late = vi.fn(async () => {});
  drainOnSignal(["SIGUSR2"], () => first.promise);
  drainOnSignal(["SIGUSR2"], () => second.promise);
  expect(process.listenerCount("SIGUSR2")).toBe(1);
  process.emit("SIGUSR2");
  first.resolve();
  await turn();
  drainOnSignal(["SIGUSR2"], late);
  process.emit("SIGUSR2");
  expect(process.listenerCount("SIGUSR2")).toBe(1);
  expect(kill).not.toHaveBeenCalled();
  second.resolve();
  await vi.waitFor(() => expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, "SIGUSR2"));
  expect(late).toHaveBeenCalled();
  expect(process.listenerCount("SIGUSR2")).toBe(0);
});

test("a server that begins to listen just after a drain is drained too, before the signal takes its course", async () => {
  const kill = vi.spyOn(process, "kill").mockImplementation(() => true);
  const late = vi.fn(async () => {});
  const stop = drainOnSignal(["SIGUSR2"], async () => stop());
  process.emit("SIGUSR2");
  // All promises have been settled by then, and no timer has fired.
  await new Promise((resolve) => process.nextTick(resolve));
  const stopLate = drainOnSignal(["SIGUSR2"], late);
  onTestFinished(() => {
    kill.mockRestore();
    stopLate();
  });
  await vi.waitFor(() => expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, "SIGUSR2"));
  expect(late).toHaveBeenCalledOnce();
  expect(process.listenerCount("SIGUSR2")).toBe(0);
});

test("a server that was drained by hand listens to no signal any more", () => {
  const stop = drainOnSignal(["SIGUSR2", "SIGWINCH"], async () => expect.unreachable());
  const stopOther = drainOnSignal(["SIGUSR2"], async () => expect.unreachable());
  expect(process.listenerCount("SIGUSR2") + process.listenerCount("SIGWINCH")).toBe(2);
  stop();
  stop();
  expect(process.listenerCount("SIGUSR2") + process.listenerCount("SIGWINCH")).toBe(1);
  stopOther();
  expect(process.listenerCount("SIGUSR2") + process.listenerCount("SIGWINCH")).toBe(0);
});

describe("listen refuses, before it binds anything", () => {
  const pem = "-----BEGIN CERTIFICATE-----";
  const noPort = "the address must be host:port, such as 0.0.0.0:50051, or unix:/path";
  const noUrl = "the address is no URL: leave http:// or https:// out, and give tls for TLS";
  test.each<[string, ListenOptions, string]>([
    ["127.0.0.1", {}, noPort],
    [":0", {}, noPort],
    ["", {}, noPort],
    ["unix:", {}, noPort],
    ["http://127.0.0.1:80", {}, noUrl],
    ["HTTPS://localhost:443", {}, noUrl],
    ["http://127.0.0.1", {}, noUrl],
    ["127.0.0.1:0", { TLS: {} } as never, "there is no option TLS; there are tls"],
    ["127.0.0.1:0", { tls: true as never }, "tls must be { cert, key, ca }; tls takes cert and key"],
    ["127.0.0.1:0", { tls: {} as never }, "tls takes cert and key"],
    [
      "127.0.0.1:0",
      { tls: { cert: pem, key: pem, clientCertificate: "optional" as never } },
      'tls.clientCertificate must be "required" or "requested"; it is "optional"; ' +
        "tls.clientCertificate takes ca: who signs them",
    ],
    ["127.0.0.1:0", { tls: { cert: pem, key: "server.key" } }, "tls.key must be the text of a PEM file, not its name"],
    [
      "127.0.0.1:0",
      { tls: { cert: pem, key: pem, CA: pem } as never },
      "there is no option tls.CA; there are cert, key, ca, clientCertificate",
    ],
  ])("%j with %j", async (address, options, problem) => {
    const listening = createServer({ drainOn: [] }).listen(address, options);
    await expect(listening).rejects.toThrow(new TypeError(`listen(${JSON.stringify(address)}): ${problem}`));
  });
});

test("a middleware is refused what it has no option for, and what createServer is refused, all at once", () => {
  const wrong = {
    idempotency: false,
    authenticate: false,
    validation: false,
    authentication: () => undefined,
    rateLimits: {},
    drainTimeoutMs: 5,
    endStreamsAtExpiry: "x",
    onError: 5,
  };
  const names = "observer, onError, idempotency, rateLimit, shed, validation, authenticate, endStreamsAtExpiry";
  const missing = (name: string) => `there is no option ${name}; there are ${names}`;
  expect(() => serverMiddleware(OrderService, wrong as never)).toThrow(
    new TypeError(
      `serverMiddleware(${OrderService.name}): ${missing("authentication")}; ${missing("rateLimits")}; ` +
        `${missing("drainTimeoutMs")}; endStreamsAtExpiry must be true or false; it is "x"; ` +
        "onError must be a function; it is 5; endStreamsAtExpiry takes authenticate",
    ),
  );
  expect(() => serverMiddleware(OrderService, null as never)).toThrow("the options must be an object; they are null");
});
