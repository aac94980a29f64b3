import { checkOptions, isText, type OptionCheck } from "../../core/check-options.ts";
import { isCachedToken } from "./cached-token.ts";
import type { Credentials, Sent } from "./credentials.ts";
import { shapeOf } from "./shape-of.ts";

/** Where tokens come from: `cachedToken(…)`, or something of your own. */
export interface TokenSource {
  /** The token that holds now; asked before each attempt. */
  token(signal: AbortSignal): string | Promise<string>;
  /** Told that a server did not take a token. Default: nothing is done about it. */
  invalidate?(token: string): void;
}

/** Whom tokens are for. */
export interface BearerOptions {
  /**
   * Whom a call is made for, asked when it begins: calls of different partitions share no answers where the contract has
   * `cache`, `coalesce` or `batch`. Default: with a text or a `cachedToken`, all calls are made for the same. A function,
   * or a source of your own, may give each user's calls another token, which nobody knows before it is asked: they share
   * nothing. Say whose they are, such as `() => session()?.userId`, or `"service"` where the token is the same for all.
   * Where that is undefined or empty, nobody is known: such a call shares nothing either.
   */
  readonly partition?: string | (() => string | undefined) | undefined;
}

const OPTIONS: Readonly<Record<keyof BearerOptions, OptionCheck>> = {
  partition: (value) => (typeof value === "function" ? undefined : isText(value)),
};

/**
 * Sends a token with each attempt, as `authorization: Bearer …`: a text, one from the source, or from a function that is
 * asked before each attempt, retries, hedges and reopened streams included, in the async context of the call. A call
 * with an `authorization` of its own keeps that.
 *
 * @throws TypeError that lists everything that is wrong with its arguments.
 */
export function bearer(source: string | TokenSource | TokenSource["token"], options: BearerOptions = {}): Credentials {
  const tokens = tokensOf(source);
  const problems = [...sourceProblems(source, tokens), ...checkOptions(options, OPTIONS)];
  if (problems.length > 0) throw new TypeError(`bearer: ${problems.join("; ")}`);
  const { partition = typeof source === "string" || isCachedToken(source) ? SAME : undefined } = options;
  const call = {
    headers: async ({ signal }: { readonly signal: AbortSignal }) => bearerHeader(await tokens.token(signal)),
    rejected: (sent: Sent) => {
      const token = sent.authorization?.slice(SCHEME.length);
      if (token !== undefined) tokens.invalidate?.(token);
    },
  };
  return { forCall: () => ({ ...call, partition: typeof partition === "function" ? partition() : partition }) };
}

function tokensOf(source: string | TokenSource | TokenSource["token"]): TokenSource {
  if (typeof source === "string") return { token: () => source };
  return typeof source === "function" ? { token: source } : source;
}

function sourceProblems(source: unknown, tokens: TokenSource | undefined): string[] {
  const problem = typeof source === "string" ? tokenProblem(source) : undefined;
  if (problem) return [problem];
  if (typeof tokens?.token === "function") return [];
  return ["the first argument must be a token, a function, or what cachedToken gives"];
}

/** All calls of the client are made for the same. */
const SAME = "bearer";

const SCHEME = "Bearer ";

/** @throws TypeError for what is no token (RFC 6750, 2.1), which says why and does not quote it. */
export function bearerHeader(token: unknown): Sent {
  const problem = tokenProblem(token);
  if (problem) throw new TypeError(`bearer: ${problem}`);
  return { authorization: `${SCHEME}${token}` };
}

/** Why something is no token; undefined if it is one. A token is secret, so no message has it. */
function tokenProblem(token: unknown): string | undefined {
  if (typeof token !== "string") return `the token must be a text; it is ${shapeOf(token)}`;
  if (token === "") return "the token is empty";
  if (/^bearer /i.test(token)) return 'the token must come without "Bearer ", which is put before it';
  if (/^[A-Za-z0-9._~+/-]+=*$/.test(token)) return undefined;
  return "the token has characters that none has (RFC 6750): it is made of A-Z, a-z, 0-9, -, ., _, ~, + and /, with = at its end";
}
