import { hash } from "node:crypto";
import { identify } from "../../core/call-context.ts";
import { keepCallerToken } from "../../core/caller-token.ts";
import type { Clock } from "../../core/clock.ts";
import { CredentialError, ForeignCredentialError } from "../../core/credential-error.ts";
import type { RpcError } from "../../core/errors.ts";
import type { Method } from "../../core/method.ts";
import type { Observer } from "../../core/observer.ts";
import type { ServedContext, ServerLayer, ServeStream } from "../../core/served-call.ts";
import type { AccessOf } from "../authentication/access.ts";
import type { Authentication, Authenticator } from "../authentication/authenticator.ts";
import { expiringCall } from "../authentication/expiring-call.ts";
import { ExpiringStream } from "../authentication/expiring-stream.ts";
import type { Expiry } from "../authentication/expiry.ts";
import { problemOf, reportRefusal, unauthenticated } from "../authentication/refusal.ts";
import { LaterStream } from "../later-stream.ts";

/** What callers are authenticated with. */
export interface AuthenticationContext {
  /** Asked in this order; the first that finds credentials decides. */
  readonly authenticators: readonly Authenticator[];
  readonly accessOf: AccessOf;
  /** Whether a stream, of requests too, ends when the credentials do that it was opened with. */
  readonly endStreamsAtExpiry: boolean;
  readonly clock: Clock;
  readonly observer: Observer | undefined;
}

/**
 * Finds out who is calling and says so in `context.identity`. A caller with wrong credentials is refused, and so is one
 * without any unless the method is public.
 */
export function authenticationLayer(context: AuthenticationContext): ServerLayer {
  return {
    unary: (next, method) => {
      if (context.accessOf(method.path) === "open") return next;
      return async (request, call) => {
        const found = await authenticate(call, context);
        const expiry = method.requestStream ? expiryOf(found, call, context) : undefined;
        return expiry ? expiringCall(next, request, call, expiry) : next(request, call);
      };
    },
    stream: (next, method) => {
      if (context.accessOf(method.path) === "open") return next;
      return (request, call) => new LaterStream(() => openStream(next, request, call, context));
    },
  };
}

/** @throws RpcError UNAUTHENTICATED; whatever an authenticator throws that is no fault of the caller's. */
async function authenticate(call: ServedContext, context: AuthenticationContext): Promise<Authentication | undefined> {
  try {
    const found = await firstFound(call, context.authenticators);
    // It may have taken as long as fetching keys does.
    if (call.signal.aborted) throw call.signal.reason;
    if (found) return accept(call, found);
    if (context.accessOf(call.method.path) === "public") return undefined;
  } catch (error) {
    if (!(error instanceof CredentialError)) throw error;
    throw refused(call.method, context, error);
  }
  throw refused(call.method, context, undefined);
}

/** @throws ForeignCredentialError if there are credentials, and all who were asked say that they are others'. */
async function firstFound(
  call: ServedContext,
  authenticators: readonly Authenticator[],
): Promise<Authentication | undefined> {
  let foreign: ForeignCredentialError | undefined;
  for (const authenticator of authenticators) {
    try {
      const found = await authenticator(call);
      if (found) return found;
    } catch (error) {
      if (!(error instanceof ForeignCredentialError)) throw error;
      foreign = error;
    }
  }
  if (foreign) throw foreign;
  return undefined;
}

/** @throws TypeError for what says of nobody who it is: whatever keeps callers apart would take all such for one. */
function accept(call: ServedContext, found: Authentication): Authentication {
  const { identity, expiresAt = Number.POSITIVE_INFINITY } = found;
  if (typeof identity?.key !== "string" || identity.key === "" || Number.isNaN(expiresAt)) {
    throw new TypeError(
      "an authenticator must give { identity: { key, source }, expiresAt }, with a key for each caller",
    );
  }
  // A text includes whatever scope is a part of it.
  if (identity.scopes !== undefined && !areTexts(identity.scopes)) {
    throw new TypeError("an authenticator must give identity.scopes as an array of texts, or none");
  }
  const { token, tokenPartition } = found;
  if (tokenPartition !== undefined && (typeof tokenPartition !== "string" || tokenPartition === "")) {
    throw new TypeError("an authenticator must give tokenPartition as a text, not empty, or none");
  }
  identify(call, found.identity);
  if (token !== undefined) keepCallerToken(call, { token, partition: tokenPartition ?? digest(token) });
  return found;
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function digest(token: string): string {
  return hash("sha256", token, "base64url");
}

function refused(method: Method, { observer }: AuthenticationContext, cause: unknown): RpcError {
  reportRefusal(observer, "authentication", method, { problem: problemOf(cause) });
  return unauthenticated(method, cause);
}

async function openStream(
  next: ServeStream,
  request: unknown,
  call: ServedContext,
  context: AuthenticationContext,
): Promise<AsyncIterable<unknown>> {
  const found = await authenticate(call, context);
  const expiry = expiryOf(found, call, context);
  return expiry ? new ExpiringStream(next, request, call, expiry) : next(request, call);
}

/** When a call ends whose messages may come for longer than its credentials last; undefined if never. */
function expiryOf(
  found: Authentication | undefined,
  call: ServedContext,
  context: AuthenticationContext,
): Expiry | undefined {
  const { clock, endStreamsAtExpiry } = context;
  const { expiresAt = Number.POSITIVE_INFINITY } = found ?? {};
  if (!endStreamsAtExpiry || expiresAt === Number.POSITIVE_INFINITY) return undefined;
  const error = () => refused(call.method, context, new CredentialError("expired while the stream was open"));
  return { clock, afterMs: expiresAt - clock.wallTime(), error };
}
