import { CredentialError } from "../../core/credential-error.ts";
import { RpcError } from "../../core/errors.ts";
import type { Method } from "../../core/method.ts";
import { notify, type Observer } from "../../core/observer.ts";
import { withoutStack } from "../../core/without-stack.ts";

/**
 * What every caller without valid credentials is told, whatever it called and whatever is wrong with them: the same
 * words, so that nobody learns from them which methods there are or how far a forged token came. RFC 6750 would tell
 * an expired token from a forged one; who holds a token knows when it ends.
 */
export function unauthenticated({ path }: Method, cause?: unknown): RpcError {
  const details = "the call needs valid credentials";
  return withoutStack(() => new RpcError({ path, reason: "UNAUTHENTICATED", details, cause }));
}

/** What an authenticated caller is told who may not call the method. */
export function denied({ path }: Method): RpcError {
  const details = "the caller may not call this method";
  return withoutStack(() => new RpcError({ path, reason: "PERMISSION_DENIED", details }));
}

/** What went wrong with the credentials, as the observer is told it. */
export function problemOf(error: unknown): string {
  return error instanceof CredentialError ? error.message : "no credentials";
}

/** Tells the observer why a caller was refused, which the caller itself is not told. */
export function reportRefusal(
  observer: Observer | undefined,
  policy: "authentication" | "permission",
  method: Method,
  detail: Readonly<Record<string, string>>,
): void {
  if (observer) notify(observer, { type: "policy", policy, action: "refused", method: method.path, detail });
}
