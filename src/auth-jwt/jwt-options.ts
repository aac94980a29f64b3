import type { JSONWebKeySet } from "jose";
import {
  checkOptions,
  isCount,
  isDelay,
  isFunction,
  isObject,
  isPem,
  isPositive,
  isText,
  type OptionCheck,
  show,
} from "../core/check-options.ts";
import type { Clock } from "../core/clock.ts";
import { PUBLIC_ALGORITHMS, SECRET_ALGORITHMS } from "./algorithms.ts";

/** What a token says of its holder, as it was signed. */
export type Claims = Readonly<Record<string, unknown>>;

/** How a server's tokens are verified. Of `jwks`, `publicKey` and `secret` exactly one is given. */
export interface JwtOptions {
  /** Who issues them: the claim `iss`, one of these. No default. */
  readonly issuer: string | readonly string[];
  /** Whom they are for, this service: the claim `aud` has one of these. No default. */
  readonly audience: string | readonly string[];
  /**
   * The issuer's public keys: the URL of its JSON Web Key Set, `https:` unless it is on this machine; the set itself; or a
   * function that gets it, such as a token issuer's own `() => issuer.jwks()`.
   */
  readonly jwks?: (string | URL | JSONWebKeySet | (() => JSONWebKeySet | Promise<JSONWebKeySet>)) | undefined;
  /** The issuer's one public key, or its certificate: the text of a PEM file. */
  readonly publicKey?: string | undefined;
  /** What the issuer and this service share, of at least 32 bytes. */
  readonly secret?: string | Uint8Array | undefined;
  /** Default: those that fit the kind of key; HS256, HS384 and HS512 with `secret` and never else. */
  readonly algorithms?: readonly string[] | undefined;
  /** How far the issuer's clock may be from this machine's, in milliseconds; finite. Default: 5,000. */
  readonly clockToleranceMs?: number | undefined;
  /** How long ago a token may have been issued, by its claim `iat`, in milliseconds. Default: as long as it is valid. */
  readonly maxAgeMs?: number | undefined;
  /** What the header's `typ` must be, such as `at+jwt` (RFC 9068). Default: anything. */
  readonly type?: string | undefined;
  /** What the holder may do. Default: the words of the claim `scope` (RFC 8693), else of `scp`, text or list. */
  readonly scopes?: ((claims: Claims) => readonly string[]) | undefined;
  /** Who the holder is. Default: the claim `sub`; a token without is refused. */
  readonly subject?: (claims: Claims) => string | undefined;
  /**
   * How many verified tokens are remembered: verifying one anew costs some 50 to 100 times as much. 0 for none.
   * Default: 1,000.
   */
  readonly rememberedTokens?: number | undefined;
  /**
   * How long one is remembered, in milliseconds, and never after its end: so long a token is still taken whose key was
   * withdrawn. Default: 60,000.
   */
  readonly rememberForMs?: number | undefined;
  /** How old fetched keys may be before they are fetched anew, in milliseconds. Default: 600,000. */
  readonly keysMaxAgeMs?: number | undefined;
  /** For how long after that they go on, while they cannot be fetched, in milliseconds. Default: 86,400,000 (a day). */
  readonly keysStaleMs?: number | undefined;
  /**
   * At most how often unknown keys have them fetched anew, and a failure is followed by the next attempt, in
   * milliseconds between; where there are no keys at all, that is at most 1,000. Default: 30,000.
   */
  readonly keysCooldownMs?: number | undefined;
  /**
   * How long fetching them may take, in milliseconds; less than the timeouts of the methods that are called, so that
   * callers who wait are told why. Default: 1,000.
   */
  readonly keysTimeoutMs?: number | undefined;
  /** Is told when they could not be fetched. Default: a warning of the process. */
  readonly onKeysError?: ((error: unknown) => void) | undefined;
  /** Where time comes from. Default: this machine. */
  readonly clock?: Clock | undefined;
}

const areTexts: OptionCheck = (value) => {
  const texts: unknown[] = Array.isArray(value) ? value : [value];
  return texts.length > 0 && texts.every((text) => typeof text === "string" && text !== "")
    ? undefined
    : `must be a text, or an array of them; it is ${show(value)}`;
};

const isNotNegative: OptionCheck = (value) =>
  typeof value === "number" && value >= 0 ? undefined : `must be zero or greater; it is ${show(value)}`;

const OPTIONS: Readonly<Record<keyof JwtOptions, OptionCheck>> = {
  issuer: areTexts,
  audience: areTexts,
  jwks: (value) => (typeof value === "string" || value instanceof URL ? urlProblem(value) : keysProblem(value)),
  publicKey: (value) =>
    isPem(value) ?? (String(value).includes("PRIVATE KEY") ? "must be the public key, not the private one" : undefined),
  secret: (value) => (sizeOf(value) >= 32 ? undefined : "must be a text or bytes, at least 32 bytes of them"),
  algorithms: (value) =>
    Array.isArray(value) && value.length > 0 ? undefined : `must be an array, not empty; it is ${show(value)}`,
  clockToleranceMs: isDelay,
  maxAgeMs: isPositive,
  type: isText,
  scopes: isFunction,
  subject: isFunction,
  rememberedTokens: (value) => (value === 0 ? undefined : isCount(value)),
  rememberForMs: isPositive,
  keysMaxAgeMs: isPositive,
  keysStaleMs: isNotNegative,
  keysCooldownMs: isPositive,
  keysTimeoutMs: isPositive,
  onKeysError: isFunction,
  clock: isObject,
};

/**
 * Checks how tokens are to be verified.
 *
 * @throws TypeError that lists every problem.
 */
export function checkJwtOptions(options: JwtOptions): void {
  const problems = checkOptions(options, OPTIONS);
  if (typeof options === "object" && options !== null) problems.push(...checkTogether(options));
  if (problems.length > 0) throw new TypeError(`jwt: ${problems.join("; ")}`);
}

function checkTogether(options: JwtOptions): string[] {
  const { issuer, audience, algorithms, jwks, publicKey, secret } = options;
  const keys = [jwks, publicKey, secret].filter((one) => one !== undefined);
  const fitting = secret === undefined ? PUBLIC_ALGORITHMS : SECRET_ALGORITHMS;
  const unfit = Array.isArray(algorithms) ? algorithms.filter((one) => !fitting.includes(one)) : [];
  return [
    ...(issuer === undefined ? ["issuer is missing: whose tokens are taken"] : []),
    ...(audience === undefined ? ["audience is missing: a token for another service would do"] : []),
    ...(keys.length === 1 ? [] : ["give one of jwks, publicKey and secret"]),
    ...unfit.map((one) => `algorithms: ${show(one)} is none of ${fitting.join(", ")}`),
  ];
}

function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.byteLength;
  return typeof value === "string" ? new TextEncoder().encode(value).byteLength : 0;
}

/** Over plaintext, whoever is in between could put in a key of his own. */
function urlProblem(value: string | URL): string | undefined {
  const url = URL.parse(String(value));
  if (!url) return `must be a URL, a key set or a function; it is ${show(value)}`;
  const { protocol, hostname } = url;
  const here = hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  if (protocol === "https:" || (protocol === "http:" && here)) return undefined;
  return `must begin with https:, as keys that come over plaintext are anybody's; it is ${show(String(value))}`;
}

function keysProblem(value: unknown): string | undefined {
  if (typeof value === "function") return undefined;
  const keys: unknown = Reflect.get(Object(value), "keys");
  return Array.isArray(keys) && keys.length > 0
    ? undefined
    : "must be a URL, a function, or { keys: [ … ] }, not empty";
}
