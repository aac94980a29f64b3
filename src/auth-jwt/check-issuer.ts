import { decodeJwt } from "jose";
import { ForeignCredentialError } from "../core/credential-error.ts";

/**
 * Leaves a token to others that says that none of these issued it, before keys are fetched for it or anything is
 * reckoned. What it says is not verified yet: it decides who verifies it, and nothing else.
 *
 * @throws ForeignCredentialError
 */
export function checkIssuer(token: string, issuers: readonly string[]): void {
  const issuer = issuerOf(token);
  if (issuer !== undefined && !issuers.includes(issuer)) throw new ForeignCredentialError("claim iss");
}

/** Undefined where it says none, or is no token: that is for whoever verifies it to find. */
function issuerOf(token: string): string | undefined {
  try {
    const { iss } = decodeJwt(token);
    return typeof iss === "string" ? iss : undefined;
  } catch {
    return undefined;
  }
}
