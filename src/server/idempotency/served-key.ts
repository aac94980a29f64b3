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

/** Tells requests apart: SHA-256 of the message's bytes, as this server's contract knows it. */
export function fingerprintOf({ request: codec }: Method, request: unknown): string {
  return hash("sha256", encodeMessage(codec, request), "base64url");
}

/** Gives the handler's context a view of its key. A property of its own, since nice-grpc's middlewares spread contexts. */
export function showIdempotency(context: CallContext, view: Idempotency): void {
  Object.defineProperty(context, "idempotency", { value: view, enumerable: true, configurable: true });
}
