import type { Metadata } from "nice-grpc-common";
import { show } from "../../core/check-options.ts";
import type { Identity, PeerCertificate } from "../../core/identity.ts";
import type { Method } from "../../core/method.ts";

/** A call of which it is not known yet who makes it. */
export interface UnidentifiedCall {
  readonly metadata: Metadata;
  /** The client's address with its port. */
  readonly peer: string;
  /**
   * The certificate of the client's connection, verified by TLS; undefined if it showed none.
   *
   * @throws CredentialError if it showed one that no authority of the server's signed.
   */
  readonly certificate: PeerCertificate | undefined;
  /** What is called; the server may have no such method. */
  readonly method: Method;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Who makes a call, and for how long that holds. */
export interface Authentication {
  readonly identity: Identity;
  /** When the credentials end, in milliseconds of wall time. Default: they do not. */
  readonly expiresAt?: number;
  /** The bearer token, for `forwardCallerToken`. Default: there is none to forward. */
  readonly token?: string;
  /**
   * What stays the same of the token when it is refreshed: answers to calls that it is forwarded with are shared by all
   * tokens of which this is equal. Default: the token's digest.
   */
  readonly tokenPartition?: string;
}

/**
 * Finds out who makes a call. Returns undefined where the call has no credentials of its kind, so that the next
 * authenticator is asked.
 *
 * @throws CredentialError for credentials that are there and wrong: UNAUTHENTICATED, and no other is asked. What it
 *   refuses with `fail` the caller is told, such as UNAVAILABLE while keys cannot be had; anything else is an error of
 *   the server's, INTERNAL.
 */
export type Authenticator = (
  call: UnidentifiedCall,
) => Authentication | undefined | Promise<Authentication | undefined>;

/** One authenticator or several, of which the first that finds credentials decides. */
export type Authenticators = Authenticator | readonly Authenticator[];

/** All that is wrong with what a server's callers are authenticated by. */
export function authenticatorProblems(given: Authenticators | false | undefined): string[] {
  if (given === undefined || given === false || typeof given === "function") return [];
  if (Array.isArray(given) && given.length > 0 && given.every((one) => typeof one === "function")) return [];
  return [
    `authenticate must be a function such as jwt({ … }), an array of them, not empty, or false; it is ${show(given)}`,
  ];
}
