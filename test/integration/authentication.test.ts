import { createClient, fail, type Identity, type ObserverEvent, Status } from "bowline";
import { type Claims, jwt } from "bowline/auth-jwt";
import { expect, test } from "vitest";
import { rejection } from "../support/orders.ts";
import {
  AUDIENCE,
  anIssuer,
  bearerOf,
  connectSecured,
  ISSUER,
  PublicOrders,
  serveSecured,
} from "../support/secured-orders.ts";

const issuer = await anIssuer();
const authenticate = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks });
const unauthenticated = { code: Status.UNAUTHENTICATED, reason: "STATUS", details: "the call needs valid credentials" };
const denied = { code: Status.PERMISSION_DENIED, reason: "STATUS", details: "the caller may not call this method" };

const all = (messages: AsyncIterable<unknown>) => Array.fromAsync(messages);

/** A server that says who called. */
async function whoCalls() {
  const identities: Identity[] = [];
  const events: ObserverEvent[] = [];
  const note = (identity: Identity) => identities.push(identity);
  const { port, server } = await serveSecured(
    {
      getOrder: async ({ orderId }, { identity }) => {
        note(identity);
        return { orderId };
      },
      async *watchOrders(_request, { identity }) {
        note(identity);
        yield { revision: 1 };
      },
      createOrder: async () => fail("INTERNAL", "nobody comes here"),
      importOrders: async () => fail("INTERNAL", "nobody comes here"),
    },
    { authenticate, idempotency: false, observer: (event) => events.push(event) },
  );
  return { port, server, identities, events, orders: connectSecured(port) };
}

test("says who calls, by a token", async () => {
  const { orders, identities } = await whoCalls();
  expect(await orders.getOrder({ orderId: "o-1" }, bearerOf(await issuer.token()))).toMatchObject({ orderId: "o-1" });
  expect(await all(orders.watchOrders({}, bearerOf(await issuer.token({ sub: "u-2" }))))).toHaveLength(1);
  expect(identities).toMatchObject([
    { key: "token:https://id.test|u-1", source: "token", subject: "u-1", issuer: ISSUER, scopes: ["orders.read"] },
    { key: "token:https://id.test|u-2", claims: { sub: "u-2", aud: AUDIENCE } },
  ]);
});

test("refuses a caller without credentials, whatever is called", async () => {
  const { orders, identities, events } = await whoCalls();
  const empty = (async function* () {})();
  const calls = [
    () => orders.getOrder({}),
    () => orders.createOrder({}),
    () => orders.importOrders(empty),
    () => all(orders.watchOrders({})),
    () => all(orders.quoteBaskets(empty)),
  ];
  for (const call of calls) expect(await rejection(call())).toMatchObject(unauthenticated);
  expect(identities).toEqual([]);
  const refusals = events.filter(({ type }) => type === "policy");
  expect(refusals).toHaveLength(calls.length);
  const ends = events.filter(({ type }) => type === "served.ended");
  expect(ends).toMatchObject(calls.map(() => ({ status: "UNAUTHENTICATED", reason: "UNAUTHENTICATED" })));
  expect(refusals[0]).toMatchObject({
    policy: "authentication",
    action: "refused",
    detail: { problem: "no credentials" },
  });
});

test("refuses a caller without the scopes, and everybody where the contract says nothing", async () => {
  const { orders, events } = await whoCalls();
  const token = bearerOf(await issuer.token({ scope: "orders.read" }));
  expect(await rejection(orders.createOrder({}, token))).toMatchObject(denied);
  expect(await rejection(orders.importOrders((async function* () {})(), token))).toMatchObject(denied);
  const none = bearerOf(await issuer.token({ scope: "" }));
  expect(await rejection(all(orders.watchOrders({}, none)))).toMatchObject(denied);
  expect(events.filter(({ type }) => type === "policy")).toMatchObject([
    { policy: "permission", detail: { caller: "token:https://id.test|u-1", missing: "orders.write" } },
    { policy: "permission", detail: { missing: "the contract lets nobody call it" } },
    { policy: "permission", detail: { missing: "orders.read" } },
  ]);
});

test("a public method takes callers with and without credentials, and none with wrong ones", async () => {
  const seen: Identity[] = [];
  const { port } = await serveSecured(
    {
      getOrder: async (_request, { identity }) => {
        seen.push(identity);
        return {};
      },
    },
    { authenticate, idempotency: false },
    { secured: PublicOrders },
  );
  using orders = createClient(PublicOrders, `127.0.0.1:${port}`);
  await orders.getOrder({});
  await orders.getOrder({}, bearerOf(await issuer.token()));
  expect(seen).toMatchObject([{ source: "peer" }, { source: "token" }]);
  expect(await rejection(orders.getOrder({}, bearerOf("a.b.c")))).toMatchObject(unauthenticated);
});

test.each<[string, unknown]>([
  ["a text that has the scope's name in it", "orders.read-none"],
  ["a text that is the scope", "orders.read"],
  ["something else than texts", ["orders.read", 5]],
  ["null", null],
  ["a set", new Set(["orders.read"])],
])("scopes that are %s are a mistake of the server's, and allow nothing", async (_, scopes) => {
  const token = bearerOf(await issuer.token());
  const byFunction = () => ({ identity: { key: "token:id|u-1", source: "token", scopes } }) as never;
  const byToken = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks, scopes: () => scopes as string[] });
  for (const authenticate of [byFunction, byToken]) {
    const errors: unknown[] = [];
    const getOrder = async () => ({ orderId: "secret" });
    const onError = (error: unknown) => void errors.push(error);
    const { port } = await serveSecured({ getOrder }, { authenticate, idempotency: false, onError });
    const refused = await rejection(connectSecured(port).getOrder({}, token));
    expect(refused).toMatchObject({ code: Status.INTERNAL });
    expect(refused).not.toMatchObject({ details: expect.stringContaining("scopes") });
    expect(errors).toMatchObject([{ name: "TypeError", message: expect.stringContaining("scopes") }]);
  }
});

test("a function that finds no scopes allows nothing, whatever else the token says", async () => {
  const scopes = (claims: Claims) => claims.permissions as string[];
  const byPermissions = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks, scopes });
  const { port } = await serveSecured(
    { getOrder: async () => ({}) },
    { authenticate: byPermissions, idempotency: false },
  );
  const orders = connectSecured(port);
  expect(await rejection(orders.getOrder({}, bearerOf(await issuer.token())))).toMatchObject(denied);
  await orders.getOrder({}, bearerOf(await issuer.token({ permissions: ["orders.read"] })));
});

test.each([[""], [{ org: "A" }]])(
  "a token of the partition %j, which others would have too, is a mistake",
  async (one) => {
    const errors: unknown[] = [];
    const identity = { key: "token:id|u-1", source: "token", scopes: ["orders.read"] };
    const authenticate = () => ({ identity, token: "t", tokenPartition: one }) as never;
    const onError = (error: unknown) => void errors.push(error);
    const { port } = await serveSecured({ getOrder: async () => ({}) }, { authenticate, idempotency: false, onError });
    expect(await rejection(connectSecured(port).getOrder({}))).toMatchObject({ code: Status.INTERNAL });
    expect(errors).toMatchObject([{ message: expect.stringContaining("tokenPartition") }]);
  },
);
