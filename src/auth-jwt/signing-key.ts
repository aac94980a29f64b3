import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";

/** A key that signs tokens, as processes hand it on: it is secret. Times are in milliseconds of wall time. */
export interface SigningKey {
  /** The private key, with `kid` and `alg`. */
  readonly jwk: JWK;
  /** From when on it signs. It is published earlier, so that whoever verifies knows it by then. */
  readonly signsFrom: number;
}

/** A key as an issuer uses it. */
export interface LoadedKey extends SigningKey {
  readonly kid: string;
  readonly algorithm: string;
  readonly key: CryptoKey;
  /** What whoever verifies is given. */
  readonly publicJwk: JWK;
}

/** Makes a new key, named by its thumbprint (RFC 7638). */
export async function makeKey(algorithm: string, signsFrom: number): Promise<LoadedKey> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(jwk);
  return loadKey({ jwk: { ...jwk, kid, alg: algorithm, use: "sig" }, signsFrom });
}

/** @throws TypeError for what is no private key with a name and an algorithm. */
export async function loadKey({ jwk, signsFrom }: SigningKey): Promise<LoadedKey> {
  const { kid, alg, d } = jwk;
  if (kid === undefined || alg === undefined || d === undefined || !Number.isFinite(signsFrom)) {
    throw new TypeError("a signing key has { jwk, signsFrom }, and its jwk is private, with kid and alg");
  }
  const key = (await importJWK(jwk, alg)) as CryptoKey;
  return { jwk, signsFrom, kid, algorithm: alg, key, publicJwk: publicPart(jwk) };
}

/** What a private key's holder may show. Named one by one: of what is left out, a private part might be forgotten. */
function publicPart({ kty, crv, x, y, n, e, kid, alg, use }: JWK): JWK {
  const parts = { kty, crv, x, y, n, e, kid, alg, use };
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined)) as JWK;
}
