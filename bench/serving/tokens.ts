import { jwt, tokenIssuer } from "bowline/auth-jwt";
import type { Authenticator } from "bowline/server";
import { SCOPE } from "./orders.ts";

/** More than a server remembers: each has been forgotten when it comes again. */
const MORE_THAN_REMEMBERED = 1_500;

const ISSUER = "https://id.bench";
const AUDIENCE = "orders";

/** Tokens, and what verifies them. */
export interface Tokens {
  readonly authenticate: Authenticator;
  readonly tokens: readonly string[];
}

/** One token, of which all calls but the first find that it was verified. */
export function sameToken(algorithm = "ES256"): Promise<Tokens> {
  return issued(algorithm, 1);
}

/** So many tokens that each is verified whenever it comes. */
export function freshTokens(algorithm = "ES256"): Promise<Tokens> {
  return issued(algorithm, MORE_THAN_REMEMBERED);
}

/** The same, each with the signature of another. */
export async function forgedTokens(): Promise<Tokens> {
  const { authenticate, tokens } = await freshTokens();
  const parts = tokens.map((token) => token.split("."));
  const forged = parts.map(([header, claims], index) => [header, claims, parts.at(index - 1)?.[2]].join("."));
  return { authenticate, tokens: forged };
}

async function issued(algorithm: string, count: number): Promise<Tokens> {
  const issuer = tokenIssuer({ issuer: ISSUER, algorithm });
  const request = { subject: "u-1", audience: AUDIENCE, scopes: [SCOPE], ttlMs: 3_600_000 };
  const tokens: string[] = [];
  for (let made = 0; made < count; made += 1) {
    tokens.push((await issuer.sign({ ...request, claims: { jti: String(made) } })).token);
  }
  return { authenticate: jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: await issuer.jwks() }), tokens };
}
