import { type ObserverEvent, Status } from "bowline";
import { jwt } from "bowline/auth-jwt";
import { type Authenticator, type Authenticators, allOf } from "bowline/server";
import { expect, test } from "vitest";
import { rejection } from "../support/orders.ts";
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

const OTHER = "https://other.test";
const [issuer, other] = await Promise.all([anIssuer(), anIssuer("ES256", "k-2")]);
const unauthenticated = { code: Status.UNAUTHENTICATED, details: "the call needs valid credentials" };
const byIssuer = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks });
const byOther = jwt({ issuer: OTHER, audience: AUDIENCE, jwks: other.jwks });
const certificate = { key: "certificate:spiffe://shop/carts", source: "certificate", scopes: ["orders.read"] } as const;

/** Who calls, as a server says that authenticates so, and what the operator is told. */
async function asking(authenticate: Authenticators, secured = SecuredOrders) {
  const problems: unknown[] = [];
  const observer = (event: ObserverEvent) => void (event.type === "policy" && problems.push(event.detail.problem));
  const { port } = await serveSecured(
    { getOrder: async (_request, { identity }) => ({ orderId: identity.key }) },
    { authenticate, idempotency: false, observer },
    { secured },
  );
  const orders = connectSecured(port);
  return { problems, ask: async (token: string) => (await orders.getOrder({}, bearerOf(token))).orderId };
}

test.each([
  ["one order", [byIssuer, byOther]],
  ["the other", [byOther, byIssuer]],
])("while an issuer takes another one's place, both have their tokens taken, in %s", async (_, authenticators) => {
  const { ask, problems } = await asking(authenticators);
  for (let times = 0; times < 2; times += 1) {
    expect(await ask(await issuer.token())).toBe(`token:${ISSUER}|u-1`);
    expect(await ask(await other.token({ iss: OTHER }))).toBe(`token:${OTHER}|u-1`);
  }
  expect(problems).toEqual([]);
});

test.each<[string, () => Promise<string>, string]>([
  ["of neither", () => issuer.token({ iss: "https://third.test" }), "claim iss"],
  ["in one's name with the other one's key", () => issuer.token({ iss: OTHER }), "unknown key"],
  ["in one's name, forged", () => other.token({}, { kid: "k-1" }), "signature"],
  ["that has ended", () => other.token({ iss: OTHER, exp: 1 }), "expired"],
  ["that is none", async () => "a.b.c", "malformed"],
  ["of nobody", () => issuer.token({ iss: undefined as never }), "claim iss"],
  ["of no text", () => issuer.token({ iss: [ISSUER] as never }), "claim iss"],
])("a token %s is refused, with the words that all are told", async (_, make, problem) => {
  for (const secured of [SecuredOrders, PublicOrders]) {
    const { ask, problems } = await asking([byIssuer, byOther], secured);
    expect(await rejection(ask(await make()))).toMatchObject(unauthenticated);
    expect(problems).toEqual([problem]);
  }
});

test("one issuer's tokens cost the other one's keys nothing", async () => {
  let asked = 0;
  const jwks = () => {
    asked += 1;
    return issuer.jwks;
  };
  const { ask } = await asking([jwt({ issuer: ISSUER, audience: AUDIENCE, jwks }), byOther]);
  await ask(await other.token({ iss: OTHER }));
  await rejection(ask(await other.token({ iss: "https://third.test" })));
  expect(asked).toBe(0);
});

test("whoever is asked after it may find other credentials, and makes mistakes of its own", async () => {
  const foreign = await issuer.token({ iss: "https://third.test" });
  const byCertificate: Authenticator = () => ({ identity: certificate });
  expect(await (await asking([byIssuer, byCertificate])).ask(foreign)).toBe(certificate.key);
  expect(await (await asking([allOf(byCertificate, byIssuer), byOther])).ask(await other.token({ iss: OTHER }))).toBe(
    `token:${OTHER}|u-1`,
  );
  const { ask } = await asking([allOf(byCertificate, byIssuer), () => undefined]);
  expect(await rejection(ask(foreign))).toMatchObject(unauthenticated);
});
