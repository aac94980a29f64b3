import { AsyncLocalStorage } from "node:async_hooks";
import {
  type BearerOptions,
  bearer,
  type CallContext,
  type CallOptions,
  cachedToken,
  closeClient,
  createClient,
  forwardCallerToken,
  type ObserverEvent,
  Status,
} from "bowline";
import { jwt } from "bowline/auth-jwt";
import { type Authentication, type Authenticators, allOf } from "bowline/server";
import { expect, test } from "vitest";
import { OrderService } from "../../gen/shop/orders/v1/orders.contract.ts";
import { Order } from "../../gen/shop/orders/v1/orders.ts";
import { contract } from "../../src/contract/contract.ts";
import { connectItems, itemsContract, serveItems } from "../support/batched-items.ts";
import { rejection } from "../support/orders.ts";
import { rawServer } from "../support/raw-http2.ts";
import {
  AUDIENCE,
  anIssuer,
  bearerOf,
  connectSecured,
  ISSUER,
  SecuredOrders,
  serveSecured,
} from "../support/secured-orders.ts";

const issuer = await anIssuer();
const authenticate = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks });
const NO_CREDENTIALS = { reason: "NO_CREDENTIALS", origin: "local", attempts: 0 };

/** The authorizations that calls came with, one after the other. */
const authorizations = (calls: Awaited<ReturnType<typeof rawServer>>["calls"]) =>
  calls.map(({ headers }) => headers.authorization);

test("sends a token with each call, unary and stream", async () => {
  const keys: string[] = [];
  const note = ({ identity }: CallContext) => void keys.push(identity.key);
  const { port } = await serveSecured(
    {
      getOrder: async (_request, context) => {
        note(context);
        return {};
      },
      async *watchOrders(_request, context) {
        note(context);
        yield { revision: 1 };
      },
    },
    { authenticate, idempotency: false },
  );
  const orders = connectSecured(port, { credentials: bearer(() => issuer.token()) });
  await orders.getOrder({});
  expect(await Array.fromAsync(orders.watchOrders({}))).toHaveLength(1);
  expect(keys).toEqual(["token:https://id.test|u-1", "token:https://id.test|u-1"]);
});

test("each attempt has the token of its moment, and a call's own authorization is kept", async () => {
  const server = await rawServer();
  let asked = 0;
  const retried = contract({
    ...OrderService,
    methods: { getOrder: { timeoutMs: 10_000, retry: { maxAttempts: 3, initialBackoffMs: 1 } } },
  });
  using orders = createClient(retried as typeof OrderService, `127.0.0.1:${server.port}`, {
    credentials: bearer(() => `t${++asked}`),
  });
  const call = orders.getOrder({});
  (await server.next()).refuse(Status.UNAVAILABLE);
  (await server.next()).refuse(Status.UNAVAILABLE);
  (await server.next()).answer();
  await call;
  const own = orders.getOrder({}, bearerOf("own"));
  (await server.next()).answer();
  await own;
  expect(authorizations(server.calls)).toEqual(["Bearer t1", "Bearer t2", "Bearer t3", "Bearer own"]);
});

test("a stream that is reopened sends the token of its moment", async () => {
  const server = await rawServer();
  let asked = 0;
  const resumed = contract({
    ...OrderService,
    methods: {
      watchOrders: {
        resume: { requestField: "after_revision", cursorField: "revision", fromStart: true, initialBackoffMs: 1 },
      },
    },
  });
  using orders = createClient(resumed as typeof OrderService, `127.0.0.1:${server.port}`, {
    credentials: bearer(() => `t${++asked}`),
  });
  const stream = orders.watchOrders({});
  const first = stream.next();
  (await server.next()).refuse(Status.UNAVAILABLE);
  const second = await server.next();
  second.begin();
  second.end(0);
  expect(await first).toMatchObject({ done: true });
  expect(authorizations(server.calls)).toEqual(["Bearer t1", "Bearer t2"]);
});

test("a token that a server refuses is fetched anew for the next call, once for all", async () => {
  const server = await rawServer();
  let fetched = 0;
  const tokens = cachedToken(async () => ({ token: `t${++fetched}`, expiresAt: Date.now() + 3_600_000 }));
  const orders = connectSecured(server.port, { credentials: bearer(tokens) });
  const two = [rejection(orders.getOrder({})), rejection(orders.getOrder({}))];
  for (const call of [await server.next(), await server.next()])
    call.refuse(Status.UNAUTHENTICATED, { "x-why": "old" });
  for (const call of two) expect(await call).toMatchObject({ code: Status.UNAUTHENTICATED, reason: "STATUS" });
  const next = orders.getOrder({});
  (await server.next()).answer();
  await next;
  expect(authorizations(server.calls)).toEqual(["Bearer t1", "Bearer t1", "Bearer t2"]);
});

test("nothing is sent where no token can be had, and nobody waits for one beyond his time", async () => {
  const server = await rawServer();
  const failing = connectSecured(server.port, { credentials: bearer(() => Promise.reject(new Error("away"))) });
  expect(await rejection(failing.getOrder({}))).toMatchObject({ ...NO_CREDENTIALS, code: Status.UNAVAILABLE });
  expect(await rejection(failing.watchOrders({}).next())).toMatchObject({
    ...NO_CREDENTIALS,
    cause: { message: "away" },
  });
  const unreadable = connectSecured(server.port, { credentials: bearer(() => "a\nb") });
  expect(await rejection(unreadable.getOrder({}))).toMatchObject(NO_CREDENTIALS);
  const waiting = connectSecured(server.port, { credentials: bearer(() => new Promise(() => {})) });
  expect(await rejection(waiting.getOrder({}, { timeoutMs: 20 }))).toMatchObject({ reason: "DEADLINE_BEFORE_SEND" });
  const controller = new AbortController();
  const left = rejection(waiting.getOrder({}, { signal: controller.signal }));
  const stream = waiting.watchOrders({});
  const pending = stream.next();
  controller.abort("left");
  expect(await left).toBe("left");
  await stream.return?.();
  expect(await pending).toMatchObject({ done: true });
  expect(server.calls).toEqual([]);
});

/** A server whose handler calls another one, with what the client's options say. */
async function chain(options: (target: string) => Parameters<typeof createClient>[2]) {
  const second = await rawServer();
  const target = `127.0.0.1:${second.port}`;
  const inner = createClient(SecuredOrders, target, options(target));
  const { port } = await serveSecured(
    { getOrder: async (request) => inner.getOrder(request) },
    { authenticate, idempotency: false },
  );
  return { second, inner, orders: connectSecured(port) };
}

test("a caller's token is forwarded where it is told to, and nothing else of what it sent", async () => {
  const { second, inner, orders } = await chain((target) => ({
    credentials: forwardCallerToken({ targets: [target] }),
  }));
  const token = await issuer.token();
  const call = orders.getOrder({}, { metadata: { authorization: `Bearer ${token}`, "x-secret": "s" } });
  const received = await second.next();
  received.answer();
  await call;
  expect(received.headers).toMatchObject({ authorization: `Bearer ${token}` });
  expect(received.headers).not.toHaveProperty("x-secret");
  expect(await rejection(inner.getOrder({}))).toMatchObject({ ...NO_CREDENTIALS, code: Status.UNAUTHENTICATED });
  inner[Symbol.dispose]();
});

test("nothing of a caller's metadata is passed on where nobody says so", async () => {
  const { second, inner, orders } = await chain(() => ({}));
  const call = orders.getOrder({}, { metadata: { authorization: `Bearer ${await issuer.token()}`, "x-secret": "s" } });
  const received = await second.next();
  received.answer();
  await call;
  expect(received.headers).not.toHaveProperty("authorization");
  expect(received.headers).not.toHaveProperty("x-secret");
  inner[Symbol.dispose]();
});

test("a client for a target that callers' tokens must not go to is not made", () => {
  const credentials = forwardCallerToken({ targets: ["localhost:1", "localhost:2"] });
  expect(() => createClient(SecuredOrders, "localhost:3", { credentials })).toThrow(
    new TypeError('createClient("localhost:3"): callers\' tokens are forwarded to localhost:1, localhost:2 alone'),
  );
  expect(() => createClient(SecuredOrders, "orders.test:50051", { credentials: bearer(() => "t") })).toThrow(
    /plaintext would leave this machine/,
  );
  expect(() => createClient(SecuredOrders, "localhost:3", { credentials: "Bearer t" as never })).toThrow(
    /credentials must be credentials, such as bearer\(…\)/,
  );
});

test("callers of whom one is answered from the cache share no answers", async () => {
  const second = await rawServer();
  const cached = contract({ ...OrderService, methods: { getOrder: { timeoutMs: 10_000, cache: { ttlMs: 60_000 } } } });
  const target = `127.0.0.1:${second.port}`;
  using inner = createClient(cached as typeof OrderService, target, {
    credentials: forwardCallerToken({ targets: [target] }),
  });
  const { port } = await serveSecured(
    { getOrder: async (request) => inner.getOrder(request) },
    { authenticate, idempotency: false },
  );
  const orders = connectSecured(port);
  const tokens = [
    await issuer.token({ jti: "1" }),
    await issuer.token({ jti: "2" }),
    await issuer.token({ sub: "u-2" }),
    await issuer.token({ scope: "orders.read orders.write" }),
  ];
  for (const token of tokens) {
    const call = orders.getOrder({ orderId: "o-1" }, bearerOf(token));
    // The second is answered with what the first was: it is the same caller with a newer token.
    if (token !== tokens[1]) (await second.next()).answer();
    await call;
  }
  expect(authorizations(second.calls)).toEqual([0, 2, 3].map((index) => `Bearer ${tokens[index]}`));
});

/** How often a server was called whose client keeps answers, when a call came with each of these tokens in turn. */
async function callsBehind(authenticators: Authenticators, credentials: ForwardedTo, tokens: readonly string[]) {
  const second = await rawServer();
  const cached = contract({ ...OrderService, methods: { getOrder: { timeoutMs: 10_000, cache: { ttlMs: 60_000 } } } });
  const target = `127.0.0.1:${second.port}`;
  using inner = createClient(cached as typeof OrderService, target, { credentials: credentials(target) });
  const { port } = await serveSecured(
    { getOrder: async () => inner.getOrder({ orderId: "mine" }) },
    { authenticate: authenticators, idempotency: false },
  );
  const orders = connectSecured(port);
  for (const token of tokens) {
    const call = orders.getOrder({}, bearerOf(token));
    await Promise.race([call, second.next().then((received) => received.answer())]);
    await call;
  }
  return second.calls.length;
}

type ForwardedTo = (target: string) => ReturnType<typeof bearer>;

/** What a gateway's certificate says of all who come through it. */
const gateway = (): Authentication => ({
  identity: { key: "certificate:spiffe://shop/gateway", source: "certificate", scopes: ["orders.read"] },
});

test.each<[string, ForwardedTo, calls: number]>([
  ["that are forwarded keep their answers apart", (target) => forwardCallerToken({ targets: [target] }), 3],
  ["that a function gets share no answers", () => bearer(() => "exchanged"), 4],
  ["that are the same for all share them", () => bearer(() => "exchanged", { partition: "service" }), 1],
  ["that are the client's own share them", () => bearer("exchanged"), 1],
])("users behind one certificate: tokens %s", async (_, credentials, calls) => {
  const users = [{ sub: "alice" }, { sub: "bob" }, { sub: "bob", org: "B" }, { sub: "bob", jti: "newer" }];
  const tokens = await Promise.all(users.map((claims) => issuer.token(claims)));
  expect(await callsBehind(allOf(gateway, authenticate), credentials, tokens)).toBe(calls);
});

test("a function is asked in the context of the call, also for batches and for what is kept", async () => {
  const session = new AsyncLocalStorage<string>();
  const { port, batches, contexts } = await serveItems();
  const credentials = bearer(() => session.getStore() ?? "nobody", { partition: () => session.getStore() ?? "" });
  const items = connectItems(port, itemsContract({ maxWaitMs: 20 }), { credentials });
  const ask = (who: string) =>
    session.run(who, () => Promise.all([items.getItem({ id: "1" }), items.getItem({ id: "2" })]));
  await Promise.all([ask("alice"), ask("bob")]);
  expect(batches).toEqual([
    ["1", "2"],
    ["1", "2"],
  ]);
  const sent = contexts.map(({ metadata }) => metadata.get("authorization"));
  expect(sent.toSorted()).toEqual(["Bearer alice", "Bearer bob"]);
});

test.each<[string, BearerOptions, { partition?: string }, CallOptions]>([
  ["where nothing is said", {}, {}, {}],
  ["of no session", { partition: () => undefined }, {}, {}],
  ["of a session without a name", { partition: () => "" }, {}, {}],
  ["of a name that JavaScript gives as null", { partition: () => null as never }, {}, {}],
  ["of a name that JavaScript gives as a number", { partition: () => 7 as never }, {}, {}],
  ["with an empty name", { partition: "" }, {}, {}],
  ["of a call that says nobody", {}, { partition: "tenant" }, { partition: "" }],
  ["of a client that says nobody", {}, { partition: "" }, {}],
])("calls of which nobody knows whom they are for are not gathered: %s", async (_, whom, client, call) => {
  const { port, batches, singles } = await serveItems();
  const credentials = bearer(() => "one-of-many", whom);
  const items = connectItems(port, itemsContract({ maxWaitMs: 20 }), { credentials, ...client });
  await Promise.all([items.getItem({ id: "1" }, call), items.getItem({ id: "2" }, call)]);
  expect(batches).toEqual([]);
  expect(singles.toSorted()).toEqual(["1", "2"]);
});

test("tokens of which nothing but their text is known are told apart by it", async () => {
  const authenticators: Authenticators = ({ metadata }) => ({
    ...gateway(),
    token: String(metadata.get("authorization")).slice("Bearer ".length),
  });
  const credentials: ForwardedTo = (target) => forwardCallerToken({ targets: [target] });
  expect(await callsBehind(authenticators, credentials, ["one", "two", "one"])).toBe(2);
});

test("calls are gathered for one caller alone, and sent with its token", async () => {
  const { port: itemsPort, batches, contexts } = await serveItems();
  const target = `127.0.0.1:${itemsPort}`;
  const items = connectItems(itemsPort, itemsContract({ maxWaitMs: 50 }), {
    credentials: forwardCallerToken({ targets: [target] }),
  });
  const { port } = await serveSecured(
    {
      getOrder: async ({ orderId }) => {
        const got = await Promise.all([1, 2].map((n) => items.getItem({ id: `${orderId}-${n}` })));
        return { orderId: got.map(({ id }) => id).join() };
      },
    },
    { authenticate, idempotency: false },
  );
  const orders = connectSecured(port);
  const tokens = [await issuer.token(), await issuer.token({ sub: "u-2" })];
  const answers = await Promise.all(tokens.map((token, n) => orders.getOrder({ orderId: `o${n}` }, bearerOf(token))));
  expect(answers.map(({ orderId }) => orderId)).toEqual(["o0-1,o0-2", "o1-1,o1-2"]);
  expect(batches.map((ids) => ids.length)).toEqual([2, 2]);
  expect(contexts.map(({ metadata }) => metadata.get("authorization")).toSorted()).toEqual(
    tokens.map((token) => `Bearer ${token}`).toSorted(),
  );
});

test("a client that is closed waits for no token, and sends nothing that it must not", async () => {
  const server = await rawServer();
  const waiting = connectSecured(server.port, { credentials: bearer(() => new Promise(() => {})) });
  const call = rejection(waiting.getOrder({}));
  const stream = rejection(waiting.watchOrders({}).next());
  closeClient(waiting);
  expect(await call).toMatchObject({ reason: "CLIENT_CLOSED" });
  expect(await stream).toMatchObject({ reason: "CLIENT_CLOSED" });
  const partition = "p";
  const forbidden = { forCall: () => ({ partition, headers: () => ({ "grpc-timeout": "1S" }) }) };
  const wrong = connectSecured(server.port, { credentials: forbidden });
  expect(await rejection(wrong.getOrder({}))).toMatchObject({
    ...NO_CREDENTIALS,
    cause: { message: 'the credential "grpc-timeout" cannot be sent: "grpc-timeout" is gRPC\'s own' },
  });
  expect(server.calls).toEqual([]);
});

test("a call that nothing allows is seen from its start to its end, and a fallback stands in for it", async () => {
  const server = await rawServer();
  const seen: string[] = [];
  const observer = (event: ObserverEvent) =>
    void seen.push(`${event.type} ${Reflect.get(event, "reason") ?? ""}`.trim());
  const credentials = {
    forCall: () => {
      throw new Error("the session store is away");
    },
  };
  const cached = { ...SecuredOrders.methods, getOrder: { timeoutMs: 10_000, cache: { ttlMs: 60_000 } } };
  using orders = createClient({ ...SecuredOrders, methods: cached }, `127.0.0.1:${server.port}`, {
    credentials,
    observer,
    fallback: { getOrder: ({ orderId = "" }, { reason }) => Order.fromPartial({ orderId, customerId: reason }) },
  });
  expect(await orders.getOrder({ orderId: "o-1" })).toMatchObject({ orderId: "o-1", customerId: "NO_CREDENTIALS" });
  const refused = { ...NO_CREDENTIALS, cause: { message: "the session store is away" } };
  expect(await rejection(orders.createOrder({}))).toMatchObject(refused);
  expect(await rejection(orders.watchOrders({}).next())).toMatchObject(refused);
  const failed = ["call.started", "call.ended NO_CREDENTIALS"];
  expect(seen).toEqual(["call.started", "policy", "call.ended", ...failed, ...failed]);
  expect(server.calls).toEqual([]);
});

test("where there is no caller, others' credentials may do", async () => {
  const server = await rawServer();
  const target = `127.0.0.1:${server.port}`;
  const credentials = forwardCallerToken({ targets: [target], otherwise: bearer(() => "own") });
  const call = connectSecured(server.port, { credentials }).getOrder({});
  (await server.next()).answer();
  await call;
  expect(authorizations(server.calls)).toEqual(["Bearer own"]);
  expect(() => forwardCallerToken({ targets: [], otherwise: 5, target } as never)).toThrow(
    new TypeError(
      "forwardCallerToken: targets must be an array of targets, not empty; it is ; otherwise must be an object; it is 5; " +
        "there is no option target; there are targets, otherwise",
    ),
  );
  expect(() => forwardCallerToken({} as never)).toThrow("targets is missing: say where callers' tokens may go");
});
