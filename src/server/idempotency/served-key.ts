import { hash } from "node:crypto";
import type { CallContext } from "../../core/call-context.ts";
import { fail } from "../../core/errors.ts";
import { IDEMPOTENCY_KEY, type Idempotency, keyProblem } from "../../core/idempotency.ts";
import { encodeMessage, type Method } from "../../core/method.ts";

/**
 * The key that a call came with; undefined if it came with none.
 *
 * @throws RpcError INVALID_ARGUMENT for what is no key, and for two of them.
 */
export function servedKey({ metadata }: CallContext): string | undefined {
  const [key, ...more] = metadata.getAll(IDEMPOTENCY_KEY);
  if (key === undefined) return undefined;
  if (more.length > 0) fail("INVALID_ARGUMENT", `${IDEMPOTENCY_KEY} was sent ${more.length + 1} times`);
  const problem = keyProblem(key);
  return problem === undefined ? String(key) : fail("INVALID_ARGUMENT", `${IDEMPOTENCY_KEY} ${problem}`);
}

/** The longest identity that stores are given as it is, in characters. PostgreSQL takes 2,704 bytes into an index. */
const LONGEST_IDENTITY = 512;

/** What the hash of an identity begins with; an identity that begins so is hashed itself. */
const HASHED = "sha256:";

/**
 * A caller's identity as stores are given it: what some database would refuse, or take for another's, is hashed. In
 * UTF-8 all halves of surrogate pairs are one character, and PostgreSQL has no character of code 0.
 */
export function storedIdentity(identity: string): string {
  const plain = identity.length <= LONGEST_IDENTITY && identity.isWellFormed() && !identity.includes("\0");
  if (plain && !identity.startsWith(HASHED)) return identity;
  return HASHED + hash("sha256", JSON.stringify(identity), "base64url");
}

/** Tells requests apart: SHA-256 of the message's bytes, as this server's contract knows it. */
export function fingerprintOf({ request: codec }: Method, request: unknown): string {
  return hash("sha256", encodeMessage(codec, request), "base64url");
}

/** The views that were given, to tell them from what others may have put into a context under that name. */
const given = new WeakSet<object>();

/** Gives the handler's context a view of its key. A property of its own, since nice-grpc's middlewares spread contexts. */
export function showIdempotency(context: CallContext, view: Idempotency): void {
  given.add(view);
  Object.defineProperty(context, "idempotency", { value: view, enumerable: true, configurable: true });
}

/** The view that a context was given further out; undefined if it was given none. */
export function shownIdempotency(context: object): Idempotency | undefined {
  const view: unknown = Reflect.get(context, "idempotency");
  return given.has(Object(view)) ? (view as Idempotency) : undefined;
}
