import { exportPKCS8, exportSPKI, SignJWT } from "jose";
import { Metadata } from "nice-grpc-common";
import { describe, expect, test } from "vitest";
import { type JwtOptions, jwt } from "../../../src/auth-jwt/index.ts";
import { VerifiedTokens } from "../../../src/auth-jwt/verified-tokens.ts";
import { CredentialError } from "../../../src/core/credential-error.ts";
import { tokenKey } from "../../../src/core/identity.ts";
import { fakeClock } from "../../../src/testing/index.ts";
import { aMethod } from "../../support/scripted.ts";
import { AUDIENCE, anIssuer, ISSUER } from "../../support/secured-orders.ts";

const issuer = await anIssuer();
const whose = { issuer: ISSUER, audience: AUDIENCE };

/** Authenticates a call with these values of `authorization`. */
function authenticate(options: JwtOptions, ...values: string[]) {
  const metadata = new Metadata();
  for (const value of values) metadata.append("authorization", value);
  const signal = new AbortController().signal;
  return jwt(options)({ metadata, peer: "10.0.0.7:1", certificate: undefined, method: aMethod(), signal });
}

const withKeys = (more: Partial<JwtOptions> = {}): JwtOptions => ({ ...whose, jwks: issuer.jwks, ...more });
const bearer = async (claims = {}, header = {}) => `Bearer ${await issuer.token(claims, header)}`;

describe("keys", () => {
  test.each(["ES256", "ES384", "ES512", "EdDSA", "Ed25519"])("a public key for %s", async (algorithm) => {
    const one = await anIssuer(algorithm);
    const publicKey = await exportSPKI(one.publicKey);
    const found = await authenticate({ ...whose, publicKey }, `Bearer ${await one.token()}`);
    expect(found).toMatchObject({ identity: { subject: "u-1" } });
    await expect(authenticate({ ...whose, publicKey }, await bearer())).rejects.toThrow(CredentialError);
  });

  test("a secret", async () => {
    const secret = "a secret of at least 32 characters";
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: "u-1", exp: Math.floor(Date.now() / 1_000) + 60 };
    const sign = (text: string) =>
      new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(text));
    const found = await authenticate({ ...whose, secret }, `Bearer ${await sign(secret)}`);
    expect(found).toMatchObject({ identity: { subject: "u-1", scopes: [] } });
    const other = await sign(`${secret}!`);
    await expect(authenticate({ ...whose, secret }, `Bearer ${other}`)).rejects.toThrow("signature");
    await expect(authenticate({ ...whose, secret }, await bearer())).rejects.toThrow("algorithm");
  });

  test("several, and a token that names none", async () => {
    const others = await Promise.all([anIssuer("ES256", "k-2"), anIssuer("ES256", "k-3")]);
    const jwks = { keys: [...others.map(({ jwk }) => jwk), issuer.jwk] };
    const found = await authenticate({ ...whose, jwks }, await bearer({}, { kid: undefined }));
    expect(found).toMatchObject({ identity: { subject: "u-1" } });
    const few = { keys: others.map(({ jwk }) => jwk) };
    const nameless = await bearer({}, { kid: undefined });
    await expect(authenticate({ ...whose, jwks: few }, nameless)).rejects.toThrow("signature");
  });

  test("of all that fit, those alone that are allowed", async () => {
    await expect(authenticate(withKeys({ algorithms: ["ES384"] }), await bearer())).rejects.toThrow("algorithm");
  });
});

describe("what a token says", () => {
  test.each<[object, readonly string[]]>([
    [{ scope: "a b" }, ["a", "b"]],
    [{ scope: " a  b " }, ["a", "b"]],
    [{ scope: undefined, scp: ["a", 5, "b"] }, ["a", "b"]],
    [{ scope: undefined, scp: "a b" }, ["a", "b"]],
    [{ scope: "a", scp: ["b"] }, ["a"]],
    [{ scope: undefined }, []],
    [{ scope: 5 }, []],
  ])("scopes of %j", async (claims, scopes) => {
    expect(await authenticate(withKeys(), await bearer(claims))).toMatchObject({ identity: { scopes } });
  });

  test("subject and scopes may come from elsewhere", async () => {
    const options = withKeys({ subject: ({ client_id: id }) => String(id), scopes: ({ roles }) => roles as string[] });
    const found = await authenticate(options, await bearer({ client_id: "c-1", roles: ["admin"] }));
    expect(found).toMatchObject({ identity: { key: `token:${ISSUER}|c-1`, subject: "c-1", scopes: ["admin"] } });
  });

  test("nobody can change what others are given", async () => {
    const found = await authenticate(withKeys(), await bearer({ nested: { roles: ["a"] } }));
    expect(() => Object.assign(found?.identity.claims?.nested as object, { roles: [] })).toThrow(TypeError);
  });

  test("two headers are none", async () => {
    const one = await bearer();
    await expect(authenticate(withKeys(), one, one)).rejects.toThrow("no bearer token");
    expect(await authenticate(withKeys())).toBeUndefined();
    expect(await authenticate(withKeys(), "Basic dTpw")).toBeUndefined();
  });

  test("its type, where that is asked for", async () => {
    const options = withKeys({ type: "at+jwt" });
    await expect(authenticate(options, await bearer())).rejects.toThrow("claim typ");
    expect(await authenticate(options, await bearer({}, { typ: "at+jwt" }))).toBeDefined();
  });
});

describe("time", () => {
  /** What becomes of a token at a time, in seconds from the moment in which it was issued. */
  async function at(seconds: number, claims: object, more: Partial<JwtOptions> = {}) {
    const issued = 1_800_000_000;
    const clock = fakeClock({ wallTime: (issued + seconds) * 1_000 });
    const token = await bearer({ iat: issued, exp: issued + 60, ...claims });
    return Promise.resolve(authenticate(withKeys({ clock, ...more }), token)).then(
      () => "taken",
      (error: Error) => error.message,
    );
  }

  test.each<[number, object, Partial<JwtOptions>, string]>([
    [64, {}, {}, "taken"],
    [65, {}, {}, "expired"],
    [59, {}, { clockToleranceMs: 0 }, "taken"],
    [60, {}, { clockToleranceMs: 0 }, "expired"],
    [0, { nbf: 1_800_000_005 }, {}, "taken"],
    [0, { nbf: 1_800_000_006 }, {}, "claim nbf"],
    [0, { iat: 1_800_000_005 }, {}, "taken"],
    [0, { iat: 1_800_000_006 }, {}, "claim iat"],
    [0, { iat: undefined }, {}, "taken"],
    [0, { iat: 1_800_000_006 }, { maxAgeMs: 10_000 }, "claim iat"],
    [15, {}, { maxAgeMs: 10_000 }, "taken"],
    [16, {}, { maxAgeMs: 10_000 }, "expired"],
    [0, { iat: undefined }, { maxAgeMs: 10_000 }, "claim iat"],
  ])("after %d s, with %j and %j: %s", async (seconds, claims, options, outcome) => {
    expect(await at(seconds, claims, options)).toBe(outcome);
  });

  test("a token that was verified is remembered, and not a moment after its end", async () => {
    const clock = fakeClock();
    const tokens = new VerifiedTokens<number>(2, 60_000, clock);
    tokens.set("a", 1, clock.wallTime() + 10_000);
    tokens.set("b", 2, clock.wallTime() + 100_000);
    await clock.advance(9_999);
    expect([tokens.get("a"), tokens.get("b")]).toEqual([1, 2]);
    await clock.advance(1);
    expect([tokens.get("a"), tokens.get("b")]).toEqual([undefined, 2]);
    await clock.advance(50_000);
    expect(tokens.get("b")).toBeUndefined();
  });

  test("the one that was used least recently is forgotten first", () => {
    const clock = fakeClock();
    const tokens = new VerifiedTokens<number>(2, 60_000, clock);
    for (const [token, value] of [
      ["a", 1],
      ["b", 2],
    ] as const)
      tokens.set(token, value, clock.wallTime() + 1_000);
    tokens.get("a");
    tokens.set("c", 3, clock.wallTime() + 1_000);
    expect(["a", "b", "c"].map((token) => tokens.get(token))).toEqual([1, undefined, 3]);
  });
});

test("no two issuers' subjects have the same key", () => {
  const pairs = [
    ["a", "b|c"],
    ["a|b", "c"],
    ["a%7Cb", "c"],
    ["a", "b%7Cc"],
    ["a%", "|"],
    ["a", "%|"],
  ] as const;
  expect(new Set(pairs.map(([one, two]) => tokenKey(one, two))).size).toBe(pairs.length);
});

describe("bad options are refused, all at once", () => {
  test.each<[object, string]>([
    [
      {},
      "issuer is missing: whose tokens are taken; audience is missing: a token for another service would do; " +
        "give one of jwks, publicKey and secret",
    ],
    [{ ...whose, jwks: issuer.jwks, secret: "s".repeat(32) }, "give one of jwks, publicKey and secret"],
    [
      { ...whose, jwks: "http://id.test/jwks" },
      'jwks must begin with https:, as keys that come over plaintext are anybody\'s; it is "http://id.test/jwks"',
    ],
    [
      { ...whose, jwks: issuer.jwks, clockToleranceMs: Number.POSITIVE_INFINITY },
      "clockToleranceMs must be finite, zero or greater; it is Infinity",
    ],
    [{ ...whose, jwks: "keys" }, 'jwks must be a URL, a key set or a function; it is "keys"'],
    [{ ...whose, jwks: { keys: [] } }, "jwks must be a URL, a function, or { keys: [ … ] }, not empty"],
    [{ ...whose, secret: "short" }, "secret must be a text or bytes, at least 32 bytes of them"],
    [{ ...whose, jwks: issuer.jwks, algorithms: ["HS256", "none"] }, '"HS256"'],
    [{ ...whose, secret: "s".repeat(32), algorithms: ["RS256"] }, 'algorithms: "RS256" is none of HS256, HS384, HS512'],
    [{ ...whose, publicKey: "id.pem" }, "publicKey must be the text of a PEM file, not its name"],
    [
      { ...whose, publicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" },
      "publicKey is no public key in PEM",
    ],
    [
      { ...whose, issuer: [], jwks: issuer.jwks, clockToleranceMs: -1, maxAgeMs: 0 },
      "issuer must be a text, or an array of them; it is ; clockToleranceMs must be finite, zero or greater; it is -1; maxAgeMs must be greater than zero; it is 0",
    ],
  ])("%j", (options, problem) => {
    expect(() => jwt(options as JwtOptions)).toThrow(problem);
  });

  test("a private key, and a key that does not fit", async () => {
    const privatePem = await exportPKCS8(issuer.privateKey);
    expect(() => jwt({ ...whose, publicKey: privatePem })).toThrow("must be the public key, not the private one");
    const publicKey = await exportSPKI(issuer.publicKey);
    expect(() => jwt({ ...whose, publicKey, algorithms: ["RS256"] })).toThrow(
      "publicKey is a key of type ec, which is for ES256",
    );
  });
});
