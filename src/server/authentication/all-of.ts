import { CredentialError } from "../../core/credential-error.ts";
import type { Authentication, Authenticator } from "./authenticator.ts";

/**
 * An authenticator for callers that need several credentials at a time: `allOf(jwt({ … }), mtls())`. The identity is the
 * first one's, its scopes too, with the certificate that any of them found; it holds until the first of them ends. So
 * the first is the one that tells callers apart: with `allOf(mtls(), jwt({ … }))` all users of a gateway are one caller,
 * with one rate limit and the same idempotency keys.
 *
 * A caller with some of the credentials and not all of them is refused; one with none is none of its kind.
 *
 * @throws TypeError for fewer than two.
 */
export function allOf(first: Authenticator, ...others: readonly Authenticator[]): Authenticator {
  const all = [first, ...others];
  if (others.length === 0 || !all.every((one) => typeof one === "function")) {
    throw new TypeError("allOf takes two authenticators or more, such as allOf(jwt({ … }), mtls())");
  }
  return async (call) => {
    const found: (Authentication | undefined)[] = [];
    for (const authenticate of all) found.push(await authenticate(call));
    const present = found.filter((one) => one !== undefined);
    if (present.length === 0) return undefined;
    if (present.length < all.length) throw new CredentialError("some of the credentials are missing");
    return combined(present);
  };
}

function combined(found: readonly Authentication[]): Authentication {
  const [identity] = found.map((one) => one.identity);
  const certificate = found.map((one) => one.identity.certificate).find((one) => one !== undefined);
  const { token, tokenPartition } = found.find((one) => one.token !== undefined) ?? {};
  const expiresAt = Math.min(...found.map((one) => one.expiresAt ?? Number.POSITIVE_INFINITY));
  return {
    identity: { ...(identity as Authentication["identity"]), ...(certificate && { certificate }) },
    expiresAt,
    ...(token !== undefined && { token }),
    ...(tokenPartition !== undefined && { tokenPartition }),
  };
}
