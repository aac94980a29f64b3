import { createPublicKey, type KeyObject } from "node:crypto";
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { systemClock } from "../core/clock.ts";
import { tell, warn } from "../core/warning.ts";
import { algorithmsOf, PUBLIC_ALGORITHMS, SECRET_ALGORITHMS } from "./algorithms.ts";
import { fetchKeys } from "./fetch-keys.ts";
import { FetchedKeys } from "./fetched-keys.ts";
import type { JwtOptions } from "./jwt-options.ts";
import { type KeySource, loadKeys } from "./load-keys.ts";

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
  const source = sourceOf(options.jwks);
  if (!source) return createLocalJWKSet(options.jwks as JSONWebKeySet);
  const { clock = systemClock, onKeysError = warnOfKeys, keysTimeoutMs = 1_000 } = options;
  const { keysMaxAgeMs = 600_000, keysStaleMs = 86_400_000, keysCooldownMs = 30_000 } = options;
  const told = (error: unknown) => tell("onKeysError threw", () => onKeysError(error));
  const terms = { keysMaxAgeMs, keysStaleMs, keysCooldownMs, clock, onKeysError: told };
  return new FetchedKeys(() => loadKeys(source, keysTimeoutMs, clock), terms).keyFor;
}

/** Where keys are had from again and again; undefined where they are given. */
function sourceOf(jwks: JwtOptions["jwks"]): KeySource | undefined {
  if (typeof jwks === "function") return { name: "the function jwks", load: async () => jwks() };
  if (typeof jwks === "string" || jwks instanceof URL) {
    return { name: String(jwks), load: (signal) => fetchKeys(jwks, signal) };
  }
  return undefined;
}

function warnOfKeys(error: unknown): void {
  warn("the keys of tokens could not be fetched", error);
}
