import { setTimeout as sleep } from "node:timers/promises";
import { bearer, type Credentials, cachedToken, createClient, currentCall, Status } from "bowline";
import { jwt } from "bowline/auth-jwt";
import { type Authenticator, createServer, memoryIdempotency, serverMiddleware } from "bowline/server";
import { createServer as createNiceServer } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection.contract.ts";
import { Health } from "../../gen/health/v1/health.contract.ts";
import {
  OrderService,
  type OrderServiceClient,
  type OrderServiceHandlers,
} from "../../gen/shop/orders/v1/orders.contract.ts";
import { contract } from "../../src/contract/contract.ts";
import { gate, ordersHandlers, rejection } from "../support/orders.ts";
import { PatientOrders } from "../support/patient-orders.ts";
import { rawServer } from "../support/raw-http2.ts";
import {
  AUDIENCE,
  anIssuer,
  bearerOf,
  connectSecured,
  ISSUER,
  PublicOrders,
  SecuredOrders,
  serveSecured,
} from "../support/secured-orders.ts";

const issuer = await anIssuer();
const authenticate = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks, clockToleranceMs: 0 });
const unauthenticated = { code: Status.UNAUTHENTICATED, details: "the call needs valid credentials" };

async function* asking() {
  yield { messageRequest: { $case: "listServices" as const, value: "" } };
}

test.each<[boolean | "authenticated" | undefined, string, string]>([
  [undefined, "UNAUTHENTICATED", "answered"],
  ["authenticated", "UNAUTHENTICATED", "answered"],
  [true, "answered", "answered"],
  [false, "UNAUTHENTICATED", "UNIMPLEMENTED"],
])("reflection: %s", async (reflection, without, withToken) => {
  const { port } = await serveSecured(
    {},
    { authenticate, idempotency: false, ...(reflection !== undefined && { reflection }) },
  );
  using asked = createClient(ServerReflection, `127.0.0.1:${port}`);
  const names = Object.keys(Status);
  const outcome = (options = {}) =>
    Array.fromAsync(asked.serverReflectionInfo(asking(), options)).then(
      () => "answered",
      ({ code }: { code: number }) => names[code],
    );
  expect(await outcome()).toBe(without);
  expect(await outcome(bearerOf(await issuer.token()))).toBe(withToken);
});

test("health is open, but for the list of what is served", async () => {
  const broken: Authenticator = () => {
    throw new Error("nobody asks for health's callers");
  };
  const { port } = await serveSecured({}, { authenticate: [broken], idempotency: false, onError: () => {} });
  using health = createClient(Health, `127.0.0.1:${port}`);
  expect(await health.check({ service: "" })).toMatchObject({ status: 1 });
  expect(await rejection(health.list({}))).toMatchObject({ code: Status.INTERNAL });
  const { port: other } = await serveSecured({}, { authenticate, idempotency: false });
  using listed = createClient(Health, `127.0.0.1:${other}`);
  expect(await rejection(listed.list({}))).toMatchObject(unauthenticated);
  expect(await listed.list({}, bearerOf(await issuer.token()))).toHaveProperty("statuses");
});

test("a stream ends when its credentials do", async () => {
  const ended = gate<unknown>();
  const expiresAt = Date.now() + 200;
  const brief = () => ({
    identity: { key: "token:x|u-1", source: "token" as const, scopes: ["orders.read"] },
    expiresAt,
  });
  const { port } = await serveSecured(
    {
      async *watchOrders(_request, { signal }) {
        yield { revision: 1 };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        ended.resolve(signal.reason);
      },
    },
    { authenticate: brief, idempotency: false },
  );
  const stream = connectSecured(port).watchOrders({});
  expect(await stream.next()).toMatchObject({ value: { revision: 1n } });
  expect(await rejection(stream.next())).toMatchObject(unauthenticated);
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt - 1);
  expect(await ended.promise).toMatchObject({ reason: "UNAUTHENTICATED" });
});

describe.each(["createServer", "nice-grpc's server"])("%s", (kind) => {
  test.each([
    ["that resumes is told with a header, so that its client knows that it may have stood", true],
    ["that does not is told with trailers alone, so that any client may repeat it", false],
  ])("a quiet stream whose credentials end, of a method %s", async (_, resumes) => {
    const resume = { requestField: "after_revision", cursorField: "revision" };
    const watchOrders = { auth: {}, ...(resumes && { resume }) };
    const methods = { ...SecuredOrders.methods, watchOrders };
    const secured = contract<typeof SecuredOrders.definition, OrderServiceClient, OrderServiceHandlers>({
      ...SecuredOrders,
      methods,
    });
    const options = {
      ...({ idempotency: false, validation: false } as const),
      authenticate: () => ({ identity: { key: "token:x|u-1", source: "token" as const }, expiresAt: Date.now() + 50 }),
    };
    const given: Partial<OrderServiceHandlers> = {
      async *watchOrders(_request, { signal }) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    };
    const onNice = async () => {
      const server = createNiceServer().use(serverMiddleware(secured, options));
      server.add(secured.definition, ordersHandlers(given) as never);
      onTestFinished(() => server.forceShutdown());
      return server.listen("127.0.0.1:0");
    };
    const port = kind === "createServer" ? (await serveSecured(given, options, { secured })).port : await onNice();
    const error = await rejection(connectSecured(port).watchOrders({}).next());
    expect(error).toMatchObject({ ...unauthenticated, headersReceived: resumes });
  });
});

test("a drain waits for what handlers still do when their callers' credentials have ended", async () => {
  const rollback = gate();
  const brief = () => ({
    identity: { key: "token:x|u-1", source: "token" as const, scopes: ["orders.read"] },
    expiresAt: Date.now() + 100,
  });
  const undo = async ({ signal }: { signal: AbortSignal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await rollback.promise;
  };
  const secured = contract<typeof SecuredOrders.definition, OrderServiceClient, OrderServiceHandlers>({
    ...SecuredOrders,
    methods: { ...SecuredOrders.methods, importOrders: { auth: {} } },
  });
  const { server, port } = await serveSecured(
    {
      importOrders: async (_requests, context) => {
        await undo(context);
        return {};
      },
      // biome-ignore lint/correctness/useYield: it has nothing to say
      async *watchOrders(_request, context) {
        await undo(context);
      },
    },
    { authenticate: brief, idempotency: false },
    { secured },
  );
  using orders = createClient(secured, `127.0.0.1:${port}`);
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
  const refused = [orders.importOrders(silent), orders.watchOrders({}).next()].map((call) => rejection(call));
  for (const error of await Promise.all(refused)) expect(error).toMatchObject(unauthenticated);
  expect(server.activeCalls).toBe(2);
  let drained = false;
  const drain = server.drain().finally(() => {
    drained = true;
  });
  await sleep(150);
  expect(drained).toBe(false);
  rollback.resolve();
  expect(await drain).toEqual({ abandoned: 0 });
});

test("a bidi stream goes both ways, once its caller is known", async () => {
  const subjects: unknown[] = [];
  const { port } = await serveSecured(
    {
      async *quoteBaskets(requests, { identity }) {
        subjects.push(identity.subject);
        for await (const { items } of requests) yield { totalCents: BigInt(items.length) };
      },
    },
    { authenticate, idempotency: false },
  );
  const baskets = (async function* () {
    yield { items: [{}] };
    yield { items: [{}, {}] };
  })();
  const quotes = await Array.fromAsync(connectSecured(port).quoteBaskets(baskets, bearerOf(await issuer.token())));
  expect(quotes.map(({ totalCents }) => totalCents)).toEqual([1n, 2n]);
  expect(subjects).toEqual(["u-1"]);
});

test("a handler does not run for a caller who has left while it was found out who it is", async () => {
  let ran = 0;
  const asked = gate();
  const found = gate();
  const slow: Authenticator = async () => {
    asked.resolve();
    await found.promise;
    return { identity: { key: "token:x|u-1", source: "token", scopes: ["orders.read"] } };
  };
  const getOrder = async () => {
    ran += 1;
    return {};
  };
  const { port, server } = await serveSecured({ getOrder }, { authenticate: slow, idempotency: false });
  const controller = new AbortController();
  const left = rejection(connectSecured(port).getOrder({}, { signal: controller.signal }));
  await asked.promise;
  controller.abort("left");
  expect(await left).toBe("left");
  await expect.poll(() => server.activeCalls).toBe(1);
  // The cancellation is there before the caller is known.
  await new Promise((resolve) => setTimeout(resolve, 50));
  found.resolve();
  await expect.poll(() => server.activeCalls).toBe(0);
  expect(ran).toBe(0);
});

test.each<[string, Authenticator]>([
  ["throws", () => Promise.reject(new Error("the database is away"))],
  ["gives no identity", () => ({}) as never],
  ["gives an identity without a key", () => ({ identity: { key: "", source: "token" } })],
])("an authenticator that %s lets nobody in, and the operator hears of it", async (_what, broken) => {
  const errors: unknown[] = [];
  const { port } = await serveSecured(
    { getOrder: async () => ({}) },
    { authenticate: broken, idempotency: false, onError: (error) => errors.push(error) },
  );
  expect(await rejection(connectSecured(port).getOrder({}))).toMatchObject({
    code: Status.INTERNAL,
    details: "internal error",
  });
  expect(errors).toHaveLength(1);
});

test("nice-grpc's server is guarded as ours is", async () => {
  const nice = createNiceServer().use(
    serverMiddleware(SecuredOrders, { authenticate, idempotency: false, validation: false }),
  );
  const handlers = ordersHandlers({
    getOrder: async (_request, { identity }) => ({ orderId: identity.key }),
    async *watchOrders() {
      yield { revision: 1 };
    },
  });
  nice.add(SecuredOrders.definition, handlers as never);
  const port = await nice.listen("127.0.0.1:0");
  onTestFinished(() => nice.forceShutdown());
  const orders = connectSecured(port);
  const token = bearerOf(await issuer.token());
  expect(await orders.getOrder({}, token)).toMatchObject({ orderId: "token:https://id.test|u-1" });
  expect(await Array.fromAsync(orders.watchOrders({}, token))).toHaveLength(1);
  expect(await rejection(orders.getOrder({}))).toMatchObject(unauthenticated);
  expect(await rejection(orders.watchOrders({}, bearerOf("a.b.c")).next())).toMatchObject(unauthenticated);
  expect(await rejection(orders.createOrder({}, token))).toMatchObject({ code: Status.PERMISSION_DENIED });
});

test.each<[string, Credentials, reaches: boolean[]]>([
  ["a function", bearer(() => "t"), [true, true, true]],
  [
    "a function, kept apart by what is said",
    bearer(() => "t", { partition: () => currentCall()?.identity.key ?? "" }),
    [true, false, true],
  ],
  ["a source of one's own", bearer({ token: () => "t" }), [true, true, true]],
  [
    "a cached token",
    bearer(cachedToken(async () => ({ token: "t", expiresAt: Date.now() + 60_000 }))),
    [true, false, false],
  ],
  ["a text", bearer("t"), [true, false, false]],
])(
  "of %s answers are shared by those calls alone that are known to be for the same",
  async (_, credentials, reaches) => {
    const second = await rawServer();
    const cached = contract({
      ...OrderService,
      methods: { getOrder: { timeoutMs: 10_000, cache: { ttlMs: 60_000 } } },
    });
    using inner = createClient(cached as typeof OrderService, `127.0.0.1:${second.port}`, { credentials });
    const { port } = await serveSecured(
      { getOrder: async (request) => inner.getOrder(request) },
      { authenticate, idempotency: false },
    );
    const orders = connectSecured(port);
    for (const [index, sub] of ["u-1", "u-1", "u-2"].entries()) {
      const call = orders.getOrder({ orderId: "o-1" }, bearerOf(await issuer.token({ sub })));
      if (reaches[index]) (await second.next()).answer();
      await call;
    }
    expect(second.calls).toHaveLength(reaches.filter(Boolean).length);
  },
);

test.each<[unknown, string]>([
  [5, "the first argument must be a token, a function, or what cachedToken gives"],
  ["Bearer t", 'the token must come without "Bearer ", which is put before it'],
  ["t\n", "the token has characters that none has"],
])("bearer refuses %j, and says all that is wrong", (source, problem) => {
  const make = () => bearer(source as never, { partition: 5 as never });
  expect(make).toThrow(TypeError);
  expect(make).toThrow(`bearer: ${problem}`);
  expect(make).toThrow("; partition must be a text; it is 5");
});

test("a contract that says who may call is refused where nobody finds out who does", () => {
  const off = { drainOn: [], idempotency: false, validation: false } as const;
  const methods = ["CreateOrder", "ListOrders", "WatchOrders", "QuoteBaskets"].map(
    (name) => `${SecuredOrders.name}/${name}`,
  );
  const refused =
    `the contract has auth for /${methods.join(", /")}; give the server { authenticate }, ` +
    "such as jwt({ … }) or mtls(), or { authenticate: false } to serve them to whoever comes";
  expect(() => createServer(off).add(PublicOrders, ordersHandlers({}))).toThrow(
    new TypeError(`${SecuredOrders.name}: ${refused}`),
  );
  expect(() => serverMiddleware(PublicOrders, { idempotency: false, validation: false })).toThrow(
    new TypeError(`serverMiddleware(${SecuredOrders.name}): ${refused}`),
  );
  serverMiddleware(PublicOrders, { idempotency: false, validation: false, authenticate: false });
  createServer(off).add(PatientOrders, ordersHandlers({}));
});

test("a server that is told to authenticate nobody lets everybody in, whatever the contract says", async () => {
  const server = createServer({ drainOn: [], idempotency: false, validation: false, authenticate: false }).add(
    SecuredOrders,
    ordersHandlers({ getOrder: async () => ({ orderId: "o-1" }) }),
  );
  const port = await server.listen("127.0.0.1:0");
  onTestFinished(async () => void (await server.drain({ timeoutMs: 1 })));
  expect(await connectSecured(port).getOrder({})).toMatchObject({ orderId: "o-1" });
});

test("idempotency keys and rate limits go by who calls, whatever token says so", async () => {
  const keyed = contract<typeof SecuredOrders.definition, OrderServiceClient, OrderServiceHandlers>({
    ...SecuredOrders,
    methods: { ...SecuredOrders.methods, createOrder: { idempotencyKey: {}, auth: {} } },
  });
  let runs = 0;
  const { port } = await serveSecured(
    {
      createOrder: async () => {
        runs += 1;
        return { orderId: `o-${runs}` };
      },
      getOrder: async () => ({}),
    },
    { authenticate, idempotency: { store: memoryIdempotency() }, rateLimit: { calls: 2, perMs: 600_000 } },
    { secured: keyed },
  );
  using orders = createClient(keyed, `127.0.0.1:${port}`);
  const create = async (claims: object) => {
    const options = { ...bearerOf(await issuer.token({ jti: String(Math.random()), ...claims })), idempotencyKey: "k" };
    return (await orders.createOrder({}, options)).orderId;
  };
  expect(await create({ sub: "u-1" })).toBe("o-1");
  expect(await create({ sub: "u-2" })).toBe("o-2");
  expect(await create({ sub: "u-1" })).toBe("o-1");
  expect(await rejection(create({ sub: "u-1" }))).toMatchObject({ reason: "RATE_LIMITED" });
  expect(await create({ sub: "u-2" })).toBe("o-2");
  expect(await rejection(orders.createOrder({}))).toMatchObject(unauthenticated);
});
