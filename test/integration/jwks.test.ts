import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Status } from "bowline";
import { type JwtOptions, jwt } from "bowline/auth-jwt";
import { CredentialError, type UnidentifiedCall } from "bowline/server";
import { fakeClock } from "bowline/testing";
import type { JWK } from "jose";
import { Metadata } from "nice-grpc-common";
import { expect, onTestFinished, test, vi } from "vitest";
import { rejection } from "../support/orders.ts";
import { aMethod } from "../support/scripted.ts";
import { AUDIENCE, anIssuer, bearerOf, connectSecured, ISSUER, serveSecured } from "../support/secured-orders.ts";

const first = await anIssuer("ES256", "k-1");
const second = await anIssuer("ES256", "k-2");

/** An endpoint with keys that a test changes, until the test is over. */
async function endpoint() {
  const served = {
    keys: [first.jwk] as JWK[],
    asked: 0,
    answer: undefined as ((response: ServerResponse) => void) | undefined,
  };
  const server = createServer((_request, response) => {
    served.asked += 1;
    if (served.answer) return served.answer(response);
    response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: served.keys }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { served, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks` };
}

/** Authenticates by keys from an endpoint, at a time that a test owns. */
async function authenticating(options: Partial<JwtOptions> = {}) {
  const { served, url } = await endpoint();
  const clock = fakeClock({ wallTime: Date.now() });
  const errors: unknown[] = [];
  const authenticate = jwt({
    ...{ issuer: ISSUER, audience: AUDIENCE, jwks: url, clock, rememberedTokens: 0 },
    onKeysError: (error) => errors.push(error),
    ...options,
  });
  const call = async (token: string | Promise<string>) => {
    const metadata = new Metadata({ authorization: `Bearer ${await token}` });
    const unidentified = { metadata, peer: "10.0.0.7:1", certificate: undefined, method: aMethod() };
    return authenticate({ ...unidentified, signal: new AbortController().signal } satisfies UnidentifiedCall);
  };
  return { served, clock, errors, call };
}

const long = { exp: Math.floor(Date.now() / 1_000) + 10 * 86_400 };
const unavailable = { code: Status.UNAVAILABLE, details: "callers cannot be authenticated at present" };

test("keys are fetched once for all who wait, and kept", async () => {
  const { served, call } = await authenticating();
  const calls = Array.from({ length: 10 }, () => call(first.token()));
  for (const found of await Promise.all(calls)) expect(found).toMatchObject({ identity: { subject: "u-1" } });
  await call(first.token());
  expect(served.asked).toBe(1);
});

test("a rotation is followed: an unknown key has the set fetched anew, and made-up ones not each time", async () => {
  const { served, clock, call } = await authenticating({ keysCooldownMs: 30_000 });
  await call(first.token(long));
  await clock.advance(30_000);
  served.keys = [first.jwk, second.jwk];
  await Promise.all([call(second.token(long)), call(second.token(long))]);
  await call(first.token(long));
  expect(served.asked).toBe(2);
  for (let index = 0; index < 20; index++) {
    expect(await rejection(call(first.token(long, { kid: `made-up-${index}` })))).toBeInstanceOf(CredentialError);
  }
  expect(served.asked).toBe(2);
  await clock.advance(30_000);
  await rejection(call(first.token(long, { kid: "made-up" })));
  expect(served.asked).toBe(3);
});

test("keys that never grow old are fetched once", async () => {
  const { served, clock, call } = await authenticating({ keysMaxAgeMs: Number.POSITIVE_INFINITY });
  expect(await call(first.token(long))).toMatchObject({ identity: { subject: "u-1" } });
  await clock.advance(7 * 86_400_000);
  expect(await call(first.token(long))).toMatchObject({ identity: { subject: "u-1" } });
  expect(served.asked).toBe(1);
});

test("keys that go on for ever are asked for again in a second where there were none", async () => {
  const { served, clock, call } = await authenticating({ keysStaleMs: Number.POSITIVE_INFINITY });
  served.answer = (response) => void response.writeHead(503).end();
  expect(await rejection(call(first.token()))).toMatchObject(unavailable);
  served.answer = undefined;
  await clock.advance(1_000);
  expect(await call(first.token())).toMatchObject({ identity: { subject: "u-1" } });
});

test("a key that was withdrawn is not taken once the set is too old", async () => {
  const { served, clock, call } = await authenticating({ keysMaxAgeMs: 600_000 });
  await call(first.token(long));
  served.keys = [second.jwk];
  await clock.advance(600_001);
  expect(await rejection(call(first.token(long)))).toMatchObject({ message: "unknown key" });
});

test("while keys cannot be had the old ones go on, for so long and no longer", async () => {
  const { served, clock, call, errors } = await authenticating({ keysMaxAgeMs: 60_000, keysStaleMs: 3_600_000 });
  await call(first.token(long));
  served.answer = (response) => response.writeHead(500).end();
  await clock.advance(60_001);
  expect(await call(first.token(long))).toMatchObject({ identity: { subject: "u-1" } });
  expect(errors).toMatchObject([{ message: expect.stringMatching(/answered 500$/) }]);
  await clock.advance(3_600_000);
  expect(await rejection(call(first.token(long)))).toMatchObject(unavailable);
  served.answer = undefined;
  await clock.advance(1_000);
  expect(await call(first.token(long))).toMatchObject({ identity: { subject: "u-1" } });
});

test("a key that may be new cannot be called unknown while keys cannot be had", async () => {
  const { served, clock, call } = await authenticating({ keysCooldownMs: 30_000 });
  await call(first.token(long));
  await clock.advance(30_000);
  served.answer = (response) => response.writeHead(500).end();
  expect(await rejection(call(second.token(long)))).toMatchObject(unavailable);
  served.answer = undefined;
  served.keys = [first.jwk, second.jwk];
  await clock.advance(29_999);
  expect(await rejection(call(second.token(long)))).toMatchObject(unavailable);
  expect(served.asked).toBe(2);
  await clock.advance(1);
  expect(await call(second.token(long))).toMatchObject({ identity: { subject: "u-1" } });
});

test("while an endpoint hangs nobody waits who can do without it, and few others", async () => {
  const { served, clock, call } = await authenticating({ keysCooldownMs: 30_000, keysTimeoutMs: 1_000 });
  await call(first.token(long));
  await clock.advance(30_000);
  const asked = Promise.withResolvers<void>();
  served.answer = () => asked.resolve();
  const outcomes: unknown[] = [];
  const callers = Array.from({ length: 100 }, async (_, index) => {
    outcomes.push(await rejection(call(first.token(long, { kid: `made-up-${index}` }))));
  });
  await asked.promise;
  expect(await call(first.token(long))).toMatchObject({ identity: { subject: "u-1" } });
  await vi.waitFor(() => expect(outcomes).toHaveLength(92));
  await clock.advance(1_000);
  await Promise.all(callers);
  for (const outcome of outcomes) expect(outcome).toMatchObject(unavailable);
  expect(served.asked).toBe(2);
  await clock.advance(29_999);
  expect(await rejection(call(second.token(long)))).toMatchObject(unavailable);
  expect(served.asked).toBe(2);
});

test("once an endpoint is known to hang, whoever asks it again waits for it alone", async () => {
  const { served, clock, call } = await authenticating({ keysTimeoutMs: 1_000 });
  let asked = Promise.withResolvers<void>();
  served.answer = () => asked.resolve();
  const cold = [rejection(call(first.token(long))), rejection(call(first.token(long)))];
  await asked.promise;
  await clock.advance(1_000);
  for (const error of await Promise.all(cold)) expect(error).toMatchObject(unavailable);
  await clock.advance(999);
  expect(await rejection(call(first.token(long)))).toMatchObject(unavailable);
  expect(served.asked).toBe(1);
  await clock.advance(1);
  asked = Promise.withResolvers();
  served.answer = (response) => {
    asked.resolve();
    clock.setTimer(500, () => response.end(JSON.stringify({ keys: served.keys })));
  };
  const again = call(first.token(long));
  await asked.promise;
  expect(await rejection(call(first.token(long)))).toMatchObject(unavailable);
  await clock.advance(500);
  expect(await again).toMatchObject({ identity: { subject: "u-1" } });
  expect(await call(first.token(long))).toMatchObject({ identity: { subject: "u-1" } });
  expect(served.asked).toBe(2);
});

test("while old keys go on an endpoint that fails is asked no more often than keysCooldownMs says", async () => {
  const askedAt: number[] = [];
  const jwks = async () => {
    askedAt.push(clock.now());
    if (askedAt.length > 1) throw new Error("away");
    return { keys: [first.jwk] };
  };
  const { clock, call } = await authenticating({ jwks, keysMaxAgeMs: 60_000, keysCooldownMs: 8_000 });
  await call(first.token(long));
  await clock.advance(60_001);
  for (let seconds = 0; seconds < 16; seconds++) {
    await call(first.token(long));
    await rejection(call(second.token(long)));
    await clock.advance(1_000);
  }
  const [, ...again] = askedAt.map((at) => at - (askedAt[0] ?? 0));
  expect(again).toEqual([60_001, 68_001]);
});

test("a function that never gets the keys is given up in time", async () => {
  const { clock, call, errors } = await authenticating({
    jwks: () => {
      setImmediate(() => void clock.advance(1_000));
      return new Promise(() => {});
    },
  });
  expect(await rejection(call(first.token(long)))).toMatchObject(unavailable);
  expect(errors).toMatchObject([{ message: "the function jwks: no answer in 1000 ms" }]);
});

test("a token that is remembered outlives its key by no more than is said", async () => {
  const { served, clock, call } = await authenticating({ rememberedTokens: 10, rememberForMs: 60_000 });
  const token = await first.token(long);
  await call(token);
  served.keys = [second.jwk];
  await clock.advance(30_000);
  await call(second.token(long));
  await clock.advance(29_999);
  expect(await call(token)).toMatchObject({ identity: { subject: "u-1" } });
  await clock.advance(1);
  expect(await rejection(call(token))).toMatchObject({ message: "unknown key" });
});

test.each<[string, (response: ServerResponse) => void]>([
  ["says nothing", () => {}],
  ["stops in the middle", (response) => response.writeHead(200).write("{")],
])("an endpoint that %s is given up in time", async (_what, answer) => {
  const { served, clock, call, errors } = await authenticating({ keysTimeoutMs: 5_000 });
  served.answer = (response) => {
    answer(response);
    setImmediate(() => void clock.advance(5_000));
  };
  expect(await rejection(call(first.token(long)))).toMatchObject(unavailable);
  expect(errors).toMatchObject([{ message: expect.stringMatching(/no answer in 5000 ms$/) }]);
});

test.each<[string, (response: ServerResponse) => void, string]>([
  ["no JSON", (response) => response.end("<html>"), "Unexpected token"],
  ["no key set", (response) => response.end('{"keys":5}'), "JSON Web Key Set malformed"],
  ["far too much", (response) => response.end(Buffer.alloc(2 * 1024 * 1024, " ")), "more than 1048576 bytes"],
  [
    "a redirection",
    (response) => response.writeHead(302, { location: "/" }).end(),
    "fetch failed: unexpected redirect",
  ],
  ["nothing", (response) => response.destroy(), "fetch failed: other side closed"],
])("an endpoint that answers %s has no keys, and is named with the cause", async (_what, answer, cause) => {
  const { served, call, errors } = await authenticating();
  served.answer = answer;
  expect(await rejection(call(first.token(long)))).toMatchObject(unavailable);
  expect(errors).toMatchObject([{ message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/jwks: /) }]);
  expect(errors).toMatchObject([{ message: expect.stringContaining(cause) }]);
});

test("an endpoint that nobody serves is named with the cause", async () => {
  const { call, errors } = await authenticating({ jwks: "http://127.0.0.1:1/jwks" });
  expect(await rejection(call(first.token(long)))).toMatchObject(unavailable);
  expect(errors).toMatchObject([{ message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:1\/jwks: fetch failed: ./) }]);
});

test("symmetric keys of a set sign nothing", async () => {
  const { served, call } = await authenticating();
  served.keys = [{ kty: "oct", k: "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", kid: "k-1", alg: "HS256" }];
  expect(await rejection(call(first.token(long)))).toBeInstanceOf(CredentialError);
});

test("a caller is told UNAVAILABLE where the keys are away: it is not its fault, and it may come again", async () => {
  const { served, url } = await endpoint();
  served.answer = (response) => response.writeHead(503).end();
  const authenticate = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: url, onKeysError: () => {} });
  const { port } = await serveSecured({ getOrder: async () => ({}) }, { authenticate, idempotency: false });
  const orders = connectSecured(port);
  expect(await rejection(orders.getOrder({}, bearerOf(await first.token())))).toMatchObject(unavailable);
  expect(await rejection(orders.getOrder({}))).toMatchObject({ code: Status.UNAUTHENTICATED });
});
