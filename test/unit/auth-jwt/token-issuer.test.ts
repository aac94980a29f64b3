import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import {
  type TokenIssuer,
  type TokenIssuerOptions,
  type TokenRequest,
  tokenIssuer,
} from "../../../src/auth-jwt/index.ts";
import { fakeClock } from "../../../src/testing/index.ts";

const HOUR = 3_600_000;
const request = { subject: "orders", audience: "users" };

function anIssuer(options: Partial<TokenIssuerOptions> = {}) {
  const clock = fakeClock();
  const issuer = tokenIssuer({ issuer: "https://shop.test", clock, ...options });
  return { clock, issuer };
}

const published = async (issuer: TokenIssuer) => (await issuer.jwks()).keys.map(({ kid }) => kid);
const kidOf = async (issuer: TokenIssuer) => decodeProtectedHeader((await issuer.sign(request)).token).kid;

/** Whether what an issuer publishes verifies a token. */
async function verifies(issuer: TokenIssuer, token: string, at: number): Promise<boolean> {
  const keys = createLocalJWKSet(await issuer.jwks());
  return jwtVerify(token, keys, { currentDate: new Date(at) }).then(
    () => true,
    () => false,
  );
}

test("a token says what was asked, and what is asked besides does not change it", async () => {
  const { clock, issuer } = anIssuer();
  const claims = { sub: "admin", iss: "x", aud: "y", exp: 9e9, scope: "all", tenant: "t-1" };
  const { token, expiresAt } = await issuer.sign({ ...request, scopes: ["a", "b"], ttlMs: 10_000, claims });
  const iat = Math.floor(clock.wallTime() / 1_000);
  expect(decodeJwt(token)).toEqual({
    ...{ iss: "https://shop.test", sub: "orders", aud: ["users"], scope: "a b", tenant: "t-1" },
    ...{ iat, exp: Math.floor((clock.wallTime() + 10_000) / 1_000) },
  });
  expect(expiresAt).toBe((decodeJwt(token).exp ?? 0) * 1_000);
  expect(decodeProtectedHeader(token)).toMatchObject({ alg: "ES256", typ: "at+jwt" });
  expect(await verifies(issuer, token, clock.wallTime())).toBe(true);
});

test("what is published has no private part", async () => {
  const { issuer } = anIssuer({ algorithm: "EdDSA" });
  const { keys } = await issuer.jwks();
  expect(keys).toHaveLength(1);
  expect(Object.keys(keys[0] ?? {}).toSorted()).toEqual(["alg", "crv", "kid", "kty", "use", "x"]);
});

describe("rotation", () => {
  test("a key is published before it signs, and for as long as its tokens live", async () => {
    const { clock, issuer } = anIssuer({ rotateEveryMs: 24 * HOUR, publishAheadMs: HOUR, maxTtlMs: HOUR });
    const first = await kidOf(issuer);
    await clock.advance(23 * HOUR - 1);
    expect(await published(issuer)).toEqual([first]);
    await clock.advance(1);
    const [, second] = await published(issuer);
    expect(await kidOf(issuer)).toBe(first);
    await clock.advance(HOUR - 1);
    const { token } = await issuer.sign({ ...request, ttlMs: HOUR });
    expect(decodeProtectedHeader(token).kid).toBe(first);
    await clock.advance(1);
    expect(await kidOf(issuer)).toBe(second);
    await clock.advance(HOUR + 60_000 - 1);
    expect(await published(issuer)).toEqual([first, second]);
    await clock.advance(1);
    expect(await published(issuer)).toEqual([second]);
  });

  test("nothing is lost where nobody has asked for long", async () => {
    const { clock, issuer } = anIssuer({ rotateEveryMs: 24 * HOUR, publishAheadMs: HOUR });
    const first = await kidOf(issuer);
    await clock.advance(240 * HOUR);
    expect(await kidOf(issuer)).toBe(first);
    await clock.advance(HOUR);
    expect(await kidOf(issuer)).not.toBe(first);
  });

  test("by hand: ahead of time, or at once with all others withdrawn", async () => {
    const { clock, issuer } = anIssuer({ rotateEveryMs: Number.POSITIVE_INFINITY, publishAheadMs: 1_000 });
    const { token } = await issuer.sign(request);
    await issuer.rotate();
    expect(await published(issuer)).toHaveLength(2);
    expect(await kidOf(issuer)).toBe(decodeProtectedHeader(token).kid);
    await clock.advance(1_000);
    expect(await kidOf(issuer)).not.toBe(decodeProtectedHeader(token).kid);
    expect(await verifies(issuer, token, clock.wallTime())).toBe(true);
    await issuer.rotate({ withdraw: true });
    expect(await published(issuer)).toEqual([await kidOf(issuer)]);
    expect(await verifies(issuer, token, clock.wallTime())).toBe(false);
  });

  test("many at once make one key", async () => {
    const { issuer } = anIssuer();
    const kids = await Promise.all(Array.from({ length: 20 }, () => kidOf(issuer)));
    expect(new Set(kids).size).toBe(1);
  });
});

test("processes share keys", async () => {
  const { clock, issuer } = anIssuer();
  const keys = JSON.parse(JSON.stringify(await issuer.exportKeys()));
  const other = tokenIssuer({ issuer: "https://shop.test", keys, clock });
  expect(await published(other)).toEqual(await published(issuer));
  expect(await verifies(issuer, (await other.sign(request)).token, clock.wallTime())).toBe(true);
  await issuer.rotate({ withdraw: true });
  await other.importKeys(await issuer.exportKeys());
  expect(await published(other)).toEqual(await published(issuer));
});

test("keys that are none are refused, and the issuer goes on", async () => {
  const { issuer } = anIssuer();
  const kid = await kidOf(issuer);
  const { keys } = await issuer.jwks();
  const publicOnly = keys.map((jwk) => ({ jwk, signsFrom: 0 }));
  await expect(issuer.importKeys(publicOnly)).rejects.toThrow("its jwk is private, with kid and alg");
  await expect(issuer.importKeys([])).rejects.toThrow("there are no keys");
  expect(await kidOf(issuer)).toBe(kid);
});

test.each<[object, string]>([
  [{}, "issuer is missing: who issues them"],
  [
    { issuer: "a", algorithm: "none" },
    'algorithm must be one of ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, EdDSA, Ed25519; it is "none"',
  ],
  [
    { issuer: "a", rotateEveryMs: 1_000, maxTtlMs: Number.POSITIVE_INFINITY, keys: [] },
    "maxTtlMs must be finite; it is Infinity; keys must be what exportKeys gave; rotateEveryMs must be greater than publishAheadMs",
  ],
])("refuses %j, all at once", (options, problems) => {
  expect(() => tokenIssuer(options as TokenIssuerOptions)).toThrow(new TypeError(`tokenIssuer: ${problems}`));
});

test("refuses what no token can say, all at once", async () => {
  const { issuer } = anIssuer({ maxTtlMs: 5_000 });
  const wrong = { subject: "", audience: [], scopes: ["a b"], ttlMs: 5_001 };
  await expect(issuer.sign(wrong)).rejects.toThrow(
    new TypeError(
      "sign: subject must be a text, not empty; audience must be a text, or an array of them; " +
        'the scope "a b" has more than printable ASCII without space, quote and backslash; ' +
        "ttlMs must be at least 1000 and at most maxTtlMs, 5000; it is 5001",
    ),
  );
});

test.each<[object, string]>([
  [
    { ...request, scope: "a b", ttl: 5_000 },
    "there is no option scope; there are subject, audience, scopes, ttlMs, claims; " +
      "there is no option ttl; there are subject, audience, scopes, ttlMs, claims",
  ],
  [{ ...request, scopes: "a" }, 'scopes must be an array of texts; it is "a"'],
  [{ ...request, scopes: [5] }, "the scope 5 has more than printable ASCII without space, quote and backslash"],
  [{ ...request, claims: "all" }, 'claims must be an object; it is "all"'],
])("signs nothing for %j", async (wrong, problems) => {
  const { issuer } = anIssuer();
  await expect(issuer.sign(wrong as TokenRequest)).rejects.toThrow(new TypeError(`sign: ${problems}`));
});
