import { errors, type JWTVerifyOptions, type JWTVerifyResult, jwtVerify } from "jose";
import { systemClock } from "../core/clock.ts";
import { CredentialError } from "../core/credential-error.ts";
import { RpcError } from "../core/errors.ts";
import { tokenKey } from "../core/identity.ts";
import type { Authentication, Authenticator, UnidentifiedCall } from "../server/index.ts";
import { bearerToken } from "./bearer-header.ts";
import { checkIssuer } from "./check-issuer.ts";
import { claimsPartition } from "./claims-partition.ts";
import { type Claims, checkJwtOptions, type JwtOptions } from "./jwt-options.ts";
import { type Keys, keysOf } from "./keys.ts";
import { VerifiedTokens } from "./verified-tokens.ts";

/**
 * Authenticates callers by JSON Web Tokens (RFC 7519) in `authorization: Bearer …`: signature, issuer, audience, end and
 * begin are checked, and that they were not issued in the future. A token that is bound to a certificate (RFC 8705) is
 * taken over a connection with that certificate alone.
 *
 * A token that names an issuer of others is left to the next authenticator, if there is one: several issuers with keys
 * of their own are an array of these.
 *
 * @throws TypeError that lists everything that is wrong with the options.
 */
export function jwt(options: JwtOptions): Authenticator {
  checkJwtOptions(options);
  const { clock = systemClock, rememberedTokens = 1_000, rememberForMs = 60_000 } = options;
  const keys = keysOf(options);
  const issuers = [options.issuer].flat();
  const verified = new VerifiedTokens<Authentication>(rememberedTokens, rememberForMs, clock);
  return async (call) => {
    const token = bearerToken(call.metadata);
    if (token === undefined) return undefined;
    const known = verified.get(token);
    if (known) return { ...bound(known, call), token };
    checkIssuer(token, issuers);
    const claims = await verify(token, keys, verifyOptions(options, keys));
    checkIssued(claims, options);
    const authentication = toAuthentication(claims, options);
    // Not a moment after its end, whatever the tolerance says.
    verified.set(token, authentication, endOf(claims, options));
    return { ...bound(authentication, call), token };
  };
}

function verifyOptions(options: JwtOptions, { algorithms }: Keys): JWTVerifyOptions {
  const { issuer, audience, clockToleranceMs = 5_000, maxAgeMs, type, clock = systemClock } = options;
  return {
    issuer: [issuer].flat(),
    audience: [audience].flat(),
    algorithms: [...algorithms],
    clockTolerance: clockToleranceMs / 1_000,
    requiredClaims: ["exp"],
    currentDate: new Date(clock.wallTime()),
    ...(maxAgeMs !== undefined && { maxTokenAge: maxAgeMs / 1_000 }),
    ...(type !== undefined && { typ: type }),
  };
}

/** @throws CredentialError for a token that does not hold; RpcError UNAVAILABLE where keys cannot be had. */
async function verify(token: string, { keyFor }: Keys, options: JWTVerifyOptions): Promise<Claims> {
  try {
    const { payload } = await jwtVerify(token, keyFor, options);
    return payload;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return tryEach(token, error, options);
    throw toProblem(error);
  }
}

/** A token that names no key, where there are several that it may have been signed with. */
async function tryEach(
  token: string,
  candidates: errors.JWKSMultipleMatchingKeys,
  options: JWTVerifyOptions,
): Promise<Claims> {
  let last: unknown;
  for await (const key of candidates) {
    const result = await jwtVerify(token, key, options).catch((error: unknown): JWTVerifyResult | undefined => {
      last = error;
      if (error instanceof errors.JWSSignatureVerificationFailed) return undefined;
      throw toProblem(error);
    });
    if (result) return result.payload;
  }
  throw toProblem(last);
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: "expired",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "signature",
  ERR_JOSE_ALG_NOT_ALLOWED: "algorithm",
  ERR_JWKS_NO_MATCHING_KEY: "unknown key",
};

/** Whatever a token brings about is the caller's; what the keys do is not. */
function toProblem(cause: unknown): Error {
  if (cause instanceof RpcError) return cause;
  if (cause instanceof errors.JWTClaimValidationFailed) return new CredentialError(`claim ${cause.claim}`, { cause });
  const code = String(Reflect.get(Object(cause), "code"));
  return new CredentialError(PROBLEMS[code] ?? "malformed", { cause });
}

/**
 * RFC 7519 leaves open what becomes of a token that is issued in the future. Either clock is further off than is said,
 * and then nothing holds that is said of time, or the token is not what it says.
 */
function checkIssued({ iat }: Claims, { clockToleranceMs = 5_000, clock = systemClock }: JwtOptions): void {
  const latest = clock.wallTime() + clockToleranceMs;
  if (typeof iat === "number" && iat * 1_000 > latest) throw new CredentialError("claim iat");
}

function toAuthentication(claims: Claims, options: JwtOptions): Authentication {
  const subject = options.subject ? options.subject(claims) : claims.sub;
  if (typeof subject !== "string" || subject === "") throw new CredentialError("claim sub");
  // It was compared with texts.
  const issuer = claims.iss as string;
  const scopes = options.scopes ? options.scopes(claims) : scopesOf(claims);
  const identity = { key: tokenKey(issuer, subject), source: "token", subject, issuer, scopes, claims } as const;
  const expiresAt = endOf(claims, options) + (options.clockToleranceMs ?? 5_000);
  // All calls that come with the token have it. It is remembered: the token itself is put beside it for each of them.
  return freeze({ identity, expiresAt, tokenPartition: claimsPartition(claims) });
}

function endOf({ exp, iat }: Claims, { maxAgeMs }: JwtOptions): number {
  const endsAt = Number(exp) * 1_000;
  return maxAgeMs === undefined ? endsAt : Math.min(endsAt, Number(iat) * 1_000 + maxAgeMs);
}

function scopesOf({ scope, scp }: Claims): readonly string[] {
  const said = scope ?? scp;
  if (typeof said === "string") return said.split(" ").filter((word) => word !== "");
  return Array.isArray(said) ? said.filter((word) => typeof word === "string") : [];
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
  return value;
}

/** RFC 8705, 3.1: a token that says which certificate it goes with is of no use with another one, or with none. */
function bound(authentication: Authentication, call: UnidentifiedCall): Authentication {
  const confirmation = authentication.identity.claims?.cnf;
  if (confirmation === undefined) return authentication;
  const thumbprint: unknown = Reflect.get(Object(confirmation), "x5t#S256");
  if (typeof thumbprint !== "string") throw new CredentialError("bound to something else than a certificate");
  const { certificate } = call;
  if (certificate?.thumbprint !== thumbprint) throw new CredentialError("bound to another certificate");
  return { ...authentication, identity: { ...authentication.identity, certificate } };
}
