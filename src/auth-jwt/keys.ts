import { createPublicKey, type KeyObject } from "node:crypto";
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { systemClock } from "../core/clock.ts";
import { tell, warn } from "../core/warning.ts";
import { algorithmsOf, PUBLIC_ALGORITHMS, SECRET_ALGORITHMS } from "./algorithms.ts";
import { fetchKeys } from "./fetch-keys.ts";
import { FetchedKeys } from "./fetched-keys.ts";
import type { JwtOptions } from "./jwt-options.ts";

/** What tokens are verified with. */
export interface Keys {
  /** The algorithms that fit them, and that are allowed. */
  readonly algorithms: readonly string[];
  readonly keyFor: JWTVerifyGetKey;
}

/**
 * The keys that options name.
 *
 * @throws TypeError for a public key that is none, and for one that does not fit the algorithms.
 */
export function keysOf(options: JwtOptions): Keys {
  const { secret, publicKey, algorithms } = options;
  if (secret !== undefined) {
    const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
    return { algorithms: algorithms ?? SECRET_ALGORITHMS, keyFor: async () => bytes };
  }
  if (publicKey !== undefined) return publicKeys(publicKey, algorithms);
  return { algorithms: algorithms ?? PUBLIC_ALGORITHMS, keyFor: keySet(options) };
}

function publicKeys(pem: string, algorithms: readonly string[] | undefined): Keys {
  const key = parseKey(pem);
  const fitting = algorithmsOf(key);
  const allowed = fitting.filter((one) => algorithms?.includes(one) ?? true);
  if (allowed.length > 0) return { algorithms: allowed, keyFor: async () => key };
  const what = `publicKey is a key of type ${key.asymmetricKeyType}`;
  throw new TypeError(`jwt: ${what}, which is for ${fitting.join(", ") || "no signatures of tokens"}`);
}

function parseKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new TypeError("jwt: publicKey is no public key in PEM", { cause });
  }
}

function keySet(options: JwtOptions): JWTVerifyGetKey {
  const { jwks, clock = systemClock, onKeysError = warnOfKeys, keysTimeoutMs = 5_000 } = options;
  const { keysMaxAgeMs = 600_000, keysStaleMs = 86_400_000, keysCooldownMs = 30_000 } = options;
  const told = (error: unknown) => tell("onKeysError threw", () => onKeysError(error));
  const terms = { keysMaxAgeMs, keysStaleMs, keysCooldownMs, clock, onKeysError: told };
  if (typeof jwks === "function") return new FetchedKeys(async () => jwks(), terms).keyFor;
  if (typeof jwks === "string" || jwks instanceof URL) {
    return new FetchedKeys(() => fetchKeys(jwks, keysTimeoutMs, clock), terms).keyFor;
  }
  return createLocalJWKSet(jwks as JSONWebKeySet);
}

function warnOfKeys(error: unknown): void {
  warn("the keys of tokens could not be fetched", error);
}
