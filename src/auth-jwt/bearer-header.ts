import type { Metadata } from "nice-grpc-common";
import { CredentialError } from "../core/credential-error.ts";

/** Longer tokens are refused before anything is done with them, in characters. */
const MOST_CHARACTERS = 8 * 1024;

/** RFC 6750, 2.1; the scheme's name has no case (RFC 9110, 11.1). */
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;

/**
 * The bearer token that a call came with; undefined if it came with none, or with credentials of another scheme.
 *
 * @throws CredentialError for several, and for what is no token.
 */
export function bearerToken(metadata: Metadata): string | undefined {
  // Several come as one, with commas between them, which no token has.
  const value = metadata.get("authorization");
  if (value === undefined) return undefined;
  if (!/^bearer(?: |$)/i.test(value)) return undefined;
  if (value.length > MOST_CHARACTERS) throw new CredentialError("a token that is too long");
  const token = BEARER.exec(value)?.[1];
  if (token === undefined) throw new CredentialError("no bearer token");
  return token;
}
