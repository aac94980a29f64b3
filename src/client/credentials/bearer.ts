import { show } from "../../core/check-options.ts";
import type { Credentials, Sent } from "./credentials.ts";

/** Where tokens come from: `cachedToken(…)`, or something of your own. */
export interface TokenSource {
  /** The token that holds now; asked before each attempt. */
  token(signal: AbortSignal): string | Promise<string>;
  /** Told that a server did not take a token. Default: nothing is done about it. */
  invalidate?(token: string): void;
}

/**
 * Sends a token with each attempt, as `authorization: Bearer …`: one from the source, or from a function that is asked
 * before each attempt, retries, hedges and reopened streams included. A call with an `authorization` of its own keeps
 * that.
 *
 * @throws TypeError for what is neither a function nor a source.
 */
export function bearer(source: TokenSource | TokenSource["token"]): Credentials {
  const tokens: TokenSource = typeof source === "function" ? { token: source } : source;
  if (typeof tokens?.token !== "function") {
    throw new TypeError(`bearer takes a function, or what cachedToken gives; it got ${show(source)}`);
  }
  const call = {
    // All calls of the client are made for the same.
    partition: "bearer",
    headers: async ({ signal }: { readonly signal: AbortSignal }) => bearerHeader(await tokens.token(signal)),
    rejected: (sent: Sent) => {
      const token = sent.authorization?.slice(SCHEME.length);
      if (token !== undefined) tokens.invalidate?.(token);
    },
  };
  return { forCall: () => call };
}

const SCHEME = "Bearer ";

/** @throws TypeError for what is no token (RFC 6750, 2.1). */
export function bearerHeader(token: unknown): Sent {
  if (typeof token !== "string" || !/^[A-Za-z0-9._~+/-]+=*$/.test(token)) {
    throw new TypeError("the token is none that could be sent (RFC 6750)");
  }
  return { authorization: `${SCHEME}${token}` };
}
