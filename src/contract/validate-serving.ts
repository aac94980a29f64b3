import type { MethodPolicy, ServicePolicy } from "./policy.ts";
import type { AuthPolicy } from "./server-policy.ts";
import type { Problem } from "./value-checks.ts";

/** What a scope is made of (RFC 6749, 3.3). */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

/** All that is wrong with what a service or a method says about how its calls are served. */
export function checkServing({ auth }: Pick<MethodPolicy & ServicePolicy, "auth">): Problem[] {
  return checkAuth(auth);
}

function checkAuth(auth: AuthPolicy | undefined): Problem[] {
  if (!auth) return [];
  const { scopes = [], public: isPublic = false } = auth;
  return [...scopes.flatMap(checkScope), ...(isPublic && scopes.length > 0 ? [PUBLIC_SCOPES] : [])];
}

const PUBLIC_SCOPES: Problem = {
  path: ["auth", "public"],
  message: "public and scopes exclude each other: a caller without authentication has no scopes",
};

function checkScope(scope: string, index: number): Problem[] {
  const path = ["auth", "scopes", String(index)];
  if (scope === "") return [{ path, message: "must not be empty" }];
  if (SCOPE.test(scope)) return [];
  const message = `has printable ASCII alone, without space, quote and backslash (RFC 6749); it is ${JSON.stringify(scope)}`;
  return [{ path, message }];
}
