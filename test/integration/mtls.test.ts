import { readFileSync } from "node:fs";
import { ServerCredentials } from "@grpc/grpc-js";
import { type CallContext, type ClientOptions, Status } from "bowline";
import { jwt } from "bowline/auth-jwt";
import {
  type Authenticators,
  allOf,
  certificateInterceptor,
  idempotency,
  memoryIdempotency,
  mtls,
  rateLimit,
  serverMiddleware,
  shed,
} from "bowline/server";
import { createServer as createNiceServer, Metadata, type ServerMiddleware } from "nice-grpc";
import { expect, onTestFinished, test, vi } from "vitest";
import { takeCertificate } from "../../src/transport/certificate-interceptor.ts";
import { ordersHandlers, rejection } from "../support/orders.ts";
import {
  AUDIENCE,
  anIssuer,
  bearerOf,
  connectSecured,
  ISSUER,
  SecuredOrders,
  serveSecured,
} from "../support/secured-orders.ts";

const pem = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url));
const ca = pem("ca.pem");
const server = { cert: pem("server.pem"), key: pem("server.key"), ca };
const withCertificate = { ca, cert: pem("client.pem"), key: pem("client.key") };
const withStrangers = { ca, cert: pem("stranger.pem"), key: pem("stranger.key") };
const SPIFFE = "certificate:spiffe://test/client";
const unauthenticated = { code: Status.UNAUTHENTICATED, details: "the call needs valid credentials" };
const issuer = await anIssuer();
const token = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks });
const certificate = mtls({ scopes: () => ["orders.read"] });

/** A server that asks for certificates and says who called, with a way to call it. */
async function serving(authenticate: Authenticators) {
  const seen: CallContext["identity"][] = [];
  const getOrder = async (_request: object, { identity }: CallContext) => {
    seen.push(identity);
    return {};
  };
  const tls = { ...server, clientCertificate: "requested" as const };
  const { port } = await serveSecured({ getOrder }, { authenticate, idempotency: false, validation: false }, { tls });
  const call = (tls: ClientOptions["tls"], bearer?: string) =>
    connectSecured(port, { tls: tls as object }).getOrder({}, bearer === undefined ? {} : bearerOf(bearer));
  return { seen, call };
}

test("says who calls, by a certificate", async () => {
  const { seen, call } = await serving(certificate);
  await call(withCertificate);
  await call(withCertificate);
  expect(seen).toHaveLength(2);
  expect(seen[0]).toMatchObject({ key: SPIFFE, source: "certificate", subject: "spiffe://test/client" });
  expect(seen[0]?.certificate).toMatchObject({ commonName: "client", uris: ["spiffe://test/client"], dnsNames: [] });
  expect(seen[0]?.certificate?.thumbprint).toMatch(/^[\w-]{43}$/);
});

test("refuses a client without a certificate, and one whose certificate no authority signed", async () => {
  const { seen, call } = await serving(certificate);
  expect(await rejection(call({ ca }))).toMatchObject(unauthenticated);
  expect(await rejection(call(withStrangers))).toMatchObject(unauthenticated);
  expect(seen).toEqual([]);
});

test("the first that finds credentials decides, and wrong ones are never passed over", async () => {
  const { seen, call } = await serving([token, certificate]);
  await call(withCertificate, await issuer.token());
  await call(withCertificate);
  await call({ ca }, await issuer.token());
  expect(seen.map(({ key }) => key)).toEqual(["token:https://id.test|u-1", SPIFFE, "token:https://id.test|u-1"]);
  expect(await rejection(call(withCertificate, "a.b.c"))).toMatchObject(unauthenticated);
  expect(await rejection(call(withStrangers))).toMatchObject(unauthenticated);
  const turned = await serving([certificate, token]);
  expect(await rejection(turned.call(withStrangers, await issuer.token()))).toMatchObject(unauthenticated);
});

test("both together: who has one of them alone is refused", async () => {
  const { seen, call } = await serving(allOf(token, mtls()));
  await call(withCertificate, await issuer.token());
  expect(seen).toMatchObject([
    { key: "token:https://id.test|u-1", scopes: ["orders.read"], certificate: { uris: ["spiffe://test/client"] } },
  ]);
  expect(await rejection(call({ ca }, await issuer.token()))).toMatchObject(unauthenticated);
  expect(await rejection(call(withCertificate))).toMatchObject(unauthenticated);
  expect(await rejection(call({ ca }))).toMatchObject(unauthenticated);
  expect(() => allOf(token)).toThrow(TypeError);
});

test("a token that is bound to a certificate is taken with that one alone (RFC 8705)", async () => {
  const { seen, call } = await serving(token);
  await call(withCertificate, await issuer.token());
  const { seen: named, call: callNamed } = await serving(certificate);
  await callNamed(withCertificate);
  const thumbprint = named[0]?.certificate?.thumbprint;
  const bound = await issuer.token({ cnf: { "x5t#S256": thumbprint } });
  await call(withCertificate, bound);
  expect(seen[1]?.certificate?.thumbprint).toBe(thumbprint);
  // Remembered by now, and refused all the same.
  expect(await rejection(call({ ca }, bound))).toMatchObject(unauthenticated);
  expect(await rejection(call(withStrangers, bound))).toMatchObject(unauthenticated);
  const other = await issuer.token({ cnf: { "x5t#S256": "A".repeat(43) } });
  expect(await rejection(call(withCertificate, other))).toMatchObject(unauthenticated);
  expect(await rejection(call(withCertificate, await issuer.token({ cnf: { jkt: "k" } })))).toMatchObject(
    unauthenticated,
  );
});

/** The same on nice-grpc's own server. */
async function servingNice(interceptors: readonly (typeof certificateInterceptor)[], before?: ServerMiddleware) {
  const seen: CallContext["identity"][] = [];
  const bare = createNiceServer({ interceptors } as object);
  const nice = (before ? bare.use(before) : bare).use(
    serverMiddleware(SecuredOrders, { authenticate: certificate, idempotency: false, validation: false }),
  );
  const getOrder = async (_request: object, { identity }: CallContext) => {
    seen.push(identity);
    return {};
  };
  nice.add(SecuredOrders.definition, ordersHandlers({ getOrder }) as never);
  const pair = { private_key: server.key, cert_chain: server.cert };
  const port = await nice.listen("127.0.0.1:0", ServerCredentials.createSsl(ca, [pair], true));
  onTestFinished(() => nice.forceShutdown());
  return { seen, orders: connectSecured(port, { tls: withCertificate }) };
}

test("nice-grpc's server sees certificates by an interceptor, and believes no metadata", async () => {
  const { seen, orders } = await servingNice([certificateInterceptor]);
  await orders.getOrder({}, { metadata: { "bowline-certificate": "0.10.2" } });
  expect(seen).toMatchObject([{ key: SPIFFE }]);
  const without = await servingNice([]);
  const forged = without.orders.getOrder({}, { metadata: { "bowline-certificate": "0.10.2" } });
  expect(await rejection(forged)).toMatchObject(unauthenticated);
});

test.each<[string, ServerMiddleware]>([
  ["shed()", shed({ maxConcurrent: 50, loopDelayMs: Number.POSITIVE_INFINITY })],
  ["rateLimit()", rateLimit({ calls: 50 })],
  ["idempotency()", idempotency(SecuredOrders.definition, { store: memoryIdempotency(), methods: ["getOrder"] })],
])("a middleware that goes before, such as %s, leaves the certificate to the others", async (_name, before) => {
  const { seen, orders } = await servingNice([certificateInterceptor], before as ServerMiddleware);
  await orders.getOrder({}, { metadata: { "idempotency-key": "k-1" } });
  expect(seen).toMatchObject([{ key: SPIFFE }]);
});

test("a call's certificate is kept for as long as its stream is open, however often it is asked for", async () => {
  const received: Metadata[] = [];
  const certificateOf = (metadata: Metadata) => takeCertificate(new Metadata(metadata))?.();
  // biome-ignore lint/correctness/useYield: nice-grpc's middlewares take a generator that returns the response
  const answering: ServerMiddleware = async function* answer(_call, { metadata }) {
    received.push(metadata);
    const found = { commonName: "client" };
    expect([certificateOf(metadata), certificateOf(metadata)]).toMatchObject([found, found]);
    return {} as never;
  };
  const { seen, orders } = await servingNice([certificateInterceptor], answering);
  await orders.getOrder({});
  await orders.getOrder({});
  expect(seen).toEqual([]);
  expect(received).toHaveLength(2);
  await vi.waitFor(() => expect(received.map(certificateOf)).toEqual([undefined, undefined]), 10_000);
});
