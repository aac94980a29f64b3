import { createHmac } from "node:crypto";
import { once } from "node:events";
import type { OutgoingHttpHeaders } from "node:http2";
import { type ObserverEvent, Status } from "bowline";
import { jwt } from "bowline/auth-jwt";
import { base64url, CompactEncrypt, exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { describe, expect, test } from "vitest";
import { framed, open, session } from "../support/attacking.ts";
import { EMPTY, type RawAnswer, rawCaller } from "../support/raw-answer.ts";
import { AUDIENCE, anIssuer, bearerOf, connectSecured, ISSUER, serveSecured } from "../support/secured-orders.ts";

const SERVICE = "/shop.orders.v1.OrderService";
const issuer = await anIssuer("RS256");
const stranger = await anIssuer("RS256");
const publicPem = await exportSPKI(issuer.publicKey);
const authenticate = jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks });

const now = () => Math.floor(Date.now() / 1_000);
const claims = () => ({ iss: ISSUER, aud: AUDIENCE, sub: "u-1", scope: "orders.read", exp: now() + 60 });
const encode = (value: unknown) => base64url.encode(JSON.stringify(value));

/** A token that is signed with HMAC, whatever the key is. */
function hmac(alg: "HS256" | "HS512", key: string | Uint8Array): string {
  const signed = `${encode({ alg, kid: "k-1", typ: "JWT" })}.${encode(claims())}`;
  return `${signed}.${createHmac(alg === "HS256" ? "sha256" : "sha512", key)
    .update(signed)
    .digest("base64url")}`;
}

/** The same token with another part. */
async function withPart(index: number, change: (part: string) => string): Promise<string> {
  const parts = (await issuer.token()).split(".");
  return parts.map((part, at) => (at === index ? change(part) : part)).join(".");
}

const ownKey = async (header: Record<string, unknown>) =>
  stranger.token({}, { ...header, jwk: await exportJWK(stranger.publicKey) });

const tokens: Record<string, () => string | Promise<string>> = {
  "a forged signature": () => withPart(2, (part) => `${part.startsWith("A") ? "B" : "A"}${part.slice(1)}`),
  "no signature": () => withPart(2, () => ""),
  "a cut signature": () => withPart(2, (part) => part.slice(0, -8)),
  "claims of another token": () => withPart(1, () => encode({ ...claims(), sub: "admin" })),
  "the same key id and another key": () => stranger.token(),
  "an unknown key id": () => stranger.token({}, { kid: "k-2" }),
  "alg none": () => new UnsecuredJWT(claims()).encode(),
  "alg None, with a signature": async () => `${encode({ alg: "None" })}.${encode(claims())}.AAAA`,
  "HS256 with the public key's PEM": () => hmac("HS256", publicPem),
  "HS256 with the public key's PEM, trimmed": () => hmac("HS256", publicPem.trim()),
  "HS512 with the public key's modulus": () => hmac("HS512", base64url.decode(String(issuer.jwk.n))),
  "HS256 with nothing": () => hmac("HS256", ""),
  "another algorithm's name": () => withPart(0, () => encode({ alg: "PS256", kid: "k-1" })),
  "an algorithm that there is not": () => withPart(0, () => encode({ alg: "constructor", kid: "k-1" })),
  "no algorithm": () => withPart(0, () => encode({ kid: "k-1" })),
  expired: () => issuer.token({ exp: now() - 60 }),
  "not valid yet": () => issuer.token({ nbf: now() + 60 }),
  "without an end": () => issuer.token({ exp: undefined as never }),
  "an end that is no number": () => issuer.token({ exp: "never" as never }),
  "another issuer": () => issuer.token({ iss: "https://other.test" }),
  "no issuer": () => issuer.token({ iss: undefined as never }),
  "another audience": () => issuer.token({ aud: "users" }),
  "no audience": () => issuer.token({ aud: undefined as never }),
  "no subject": () => issuer.token({ sub: undefined as never }),
  "a subject that is no text": () => issuer.token({ sub: { $ne: "" } as never }),
  "a key of its own in the header": () => ownKey({}),
  "a key of its own, and no key id": () => ownKey({ kid: undefined }),
  "the URL of a key set in the header": () => stranger.token({}, { jku: "http://127.0.0.1:1/jwks" }),
  "the URL of a certificate in the header": () => stranger.token({}, { x5u: "http://127.0.0.1:1/x" }),
  "a certificate in the header": () => stranger.token({}, { x5c: ["AAAA"] }),
  "a key id that is a path": () => stranger.token({}, { kid: "../../../../dev/null" }),
  "a key id that is a query": () => stranger.token({}, { kid: "k-1' OR '1'='1" }),
  "a key id that is a number": () => withPart(0, () => encode({ alg: "RS256", kid: 1 })),
  "a key id that is an object's": () => stranger.token({}, { kid: "__proto__" }),
  "a critical header that nobody knows": () =>
    withPart(0, () => encode({ alg: "RS256", kid: "k-1", crit: ["x"], x: 1 })),
  "an encoded payload that is none": () =>
    withPart(0, () => encode({ alg: "RS256", kid: "k-1", b64: false, crit: ["b64"] })),
  "a token within a token": async () =>
    new SignJWT({ ...claims(), token: await issuer.token() })
      .setProtectedHeader({ alg: "RS256", cty: "JWT", kid: "k-1" })
      .sign(stranger.privateKey),
  "an encrypted token": async () => {
    const { publicKey } = await generateKeyPair("ECDH-ES");
    const header = { alg: "ECDH-ES", enc: "A256GCM" };
    return new CompactEncrypt(Buffer.from(await issuer.token())).setProtectedHeader(header).encrypt(publicKey);
  },
  "claims that are no object": () => withPart(1, () => encode([1])),
  "claims that are no JSON": () => withPart(1, () => base64url.encode("{")),
  "dots alone": () => "..",
  "one word": () => "token",
  "as many parts as there may be": () => "a.".repeat(2_000),
  "a token longer than tokens are": () => `${"a".repeat(9_000)}.b.c`,
};

/** What comes in the header, where it is no bearer token. */
const headers: Record<string, () => string | Promise<string>> = {
  "no token": () => "Bearer",
  "nothing after the scheme": () => "Bearer ",
  "two tokens in one header": async () => `Bearer ${await issuer.token()}, Bearer ${await issuer.token()}`,
  "two tokens with a space": async () => `Bearer ${await issuer.token()} ${await issuer.token()}`,
  "characters that no token has": async () => `Bearer ${await issuer.token()}\u00e4`,
  "a tab for the space": async () => `Bearer\t${await issuer.token()}`,
  "another scheme": async () => `Basic ${await issuer.token()}`,
  "the token alone": () => issuer.token(),
  "a scheme that begins as ours": async () => `BearerX ${await issuer.token()}`,
};

async function serving() {
  const events: ObserverEvent[] = [];
  const errors: unknown[] = [];
  const { port } = await serveSecured(
    { getOrder: async () => ({ orderId: "o-1" }) },
    {
      authenticate,
      idempotency: false,
      validation: false,
      observer: (event) => events.push(event),
      onError: (error) => errors.push(error),
    },
  );
  const alive = async () => {
    const orders = connectSecured(port);
    expect(await orders.getOrder({}, bearerOf(await issuer.token()))).toMatchObject({ orderId: "o-1" });
  };
  return { port, call: rawCaller(port), events, errors, alive };
}

/** What a caller without credentials is answered, whatever it calls. */
const refusal = {
  headers: [
    {
      ":status": 200,
      "content-type": "application/grpc+proto",
      "grpc-status": String(Status.UNAUTHENTICATED),
      "grpc-message": "the call needs valid credentials",
    },
  ],
  code: Status.UNAUTHENTICATED,
};

describe("wrong credentials are answered as none are, and the server goes on", () => {
  test("tokens", async () => {
    const { call, alive, events, errors } = await serving();
    for (const [what, make] of Object.entries(tokens)) {
      const answer = await call(`${SERVICE}/GetOrder`, { authorization: `Bearer ${await make()}` });
      expect(answer, what).toEqual(refusal);
    }
    expect(errors).toEqual([]);
    const problems = events.flatMap((event) => (event.type === "policy" ? [event.detail.problem] : []));
    expect(problems).toHaveLength(Object.keys(tokens).length);
    expect(new Set(problems)).toEqual(
      new Set([
        ...["signature", "unknown key", "algorithm", "expired", "malformed", "a token that is too long"],
        ...["claim nbf", "claim exp", "claim iss", "claim aud", "claim sub"],
      ]),
    );
    await alive();
  });

  test("headers", async () => {
    const { call, alive, errors } = await serving();
    for (const [what, make] of Object.entries(headers)) {
      expect(await call(`${SERVICE}/GetOrder`, { authorization: await make() }), what).toEqual(refusal);
    }
    expect(errors).toEqual([]);
    await alive();
  });

  test("the scheme has no case, and a token may come after several spaces", async () => {
    const { call } = await serving();
    for (const scheme of ["bearer ", "BEARER  ", "BeArEr "]) {
      const answer = await call(`${SERVICE}/GetOrder`, { authorization: `${scheme}${await issuer.token()}` });
      expect(answer.code).toBe(Status.OK);
    }
  });
});

describe("nobody learns which methods with one request there are", () => {
  const OVERSIZED = Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), Buffer.alloc(16)]);
  const NO_MESSAGE = Buffer.from([0, 0, 0, 0, 3, 0xff, 0xff, 0xff]);
  const known = ["GetOrder", "CreateOrder", "WatchOrders"].map((name) => `${SERVICE}/${name}`);
  const unknown = [`${SERVICE}/GetOrders`, "/shop.orders.v2.OrderService/GetOrder", "/a/b", "/a", "/", "/a/b/c"];

  test.each<[string, Uint8Array, number]>([
    ["an empty request", EMPTY, Status.UNAUTHENTICATED],
    ["a request that is no such message", NO_MESSAGE, Status.UNAUTHENTICATED],
    ["a request that is too large", OVERSIZED, Status.RESOURCE_EXHAUSTED],
    ["no request", Buffer.alloc(0), Status.UNIMPLEMENTED],
    ["two requests", Buffer.alloc(10), Status.UNIMPLEMENTED],
  ])("from %s", async (_what, body, code) => {
    const { call, alive } = await serving();
    const wrong = { authorization: `Bearer ${await stranger.token()}` };
    const answers: RawAnswer[] = [];
    for (const path of [...known, ...unknown]) {
      answers.push(await call(path, {}, body), await call(path, wrong, body));
    }
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]?.code).toBe(code);
    await alive();
  });

  test.each<[string, OutgoingHttpHeaders, number]>([
    ["a malformed timeout", { "grpc-timeout": "soon" }, Status.INTERNAL],
    ["a timeout that has passed", { "grpc-timeout": "0S" }, Status.DEADLINE_EXCEEDED],
    ["an encoding that there is not", { "grpc-encoding": "zstd-of-tomorrow" }, Status.UNIMPLEMENTED],
  ])("from %s", async (_what, sent, code) => {
    const { call, alive } = await serving();
    const answers: RawAnswer[] = [];
    for (const path of [...known, ...unknown]) answers.push(await call(path, sent, framed(EMPTY, { flag: 1 })));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]?.code).toBe(code);
    await alive();
  });

  test("from a call without a request that goes on", async () => {
    const { port, alive } = await serving();
    const connection = session(port);
    const waiting = [...known, ...unknown].map((path) => open(connection, path, { "grpc-timeout": "100m" }));
    const answers = await Promise.all(waiting.map((stream) => once(stream, "response")));
    for (const [{ date: _, ...answer }] of answers) {
      expect(answer).toMatchObject({ ":status": 200, "grpc-status": String(Status.DEADLINE_EXCEEDED) });
      expect(answer).toEqual({ ...answers[0]?.[0], date: undefined });
    }
    await alive();
  });

  test.each([
    "/shop.orders.v1.OrderService/ImportOrders",
    "/shop.orders.v1.OrderService/QuoteBaskets",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  ])("%s streams requests, and can be told apart: it refuses at once, and whatever comes", async (path) => {
    const { port, call, alive } = await serving();
    const begun = open(session(port), path);
    const [early] = await once(begun, "response");
    expect(early["grpc-status"]).toBe(String(Status.UNAUTHENTICATED));
    for (const body of [EMPTY, NO_MESSAGE, Buffer.alloc(0), Buffer.alloc(10)]) {
      expect(await call(path, {}, body)).toEqual(refusal);
    }
    await alive();
  });

  test("who is authenticated is told that there is no such method, and that a request is none", async () => {
    const { call, errors } = await serving();
    const right = { authorization: `Bearer ${await issuer.token()}` };
    for (const path of unknown) {
      const { code, headers } = await call(path, right);
      expect(code).toBe(Status.UNIMPLEMENTED);
      expect(headers[0]).toMatchObject({ "grpc-message": "The server does not implement the method <path>" });
    }
    expect((await call(`${SERVICE}/GetOrder`, right, NO_MESSAGE)).code).toBe(Status.INTERNAL);
    expect(errors).toEqual([]);
  });
});
