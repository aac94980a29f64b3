import type { Method } from "../../core/method.ts";
import type { Observer } from "../../core/observer.ts";
import type { ServedContext, ServerLayer } from "../../core/served-call.ts";
import type { Access, AccessOf } from "../authentication/access.ts";
import { lateRequest } from "../authentication/late-request.ts";
import { denied, reportRefusal } from "../authentication/refusal.ts";

/** What permissions are checked with. */
export interface PermissionContext {
  readonly accessOf: AccessOf;
  readonly observer: Observer | undefined;
}

/**
 * Refuses callers that the contract does not allow to call the method, and decodes the requests of those whom it does.
 */
export function permissionLayer({ accessOf, observer }: PermissionContext): ServerLayer {
  const check = (method: Method) => {
    const access = accessOf(method.path);
    return (call: ServedContext) => {
      const missing = missingOf(access, call);
      if (missing === undefined) return;
      reportRefusal(observer, "permission", method, { caller: call.identity.key, missing });
      throw denied(method);
    };
  };
  return {
    unary: (next, method) => {
      const permit = check(method);
      return async (request, call) => {
        permit(call);
        return next(lateRequest(request, method), call);
      };
    },
    stream: (next, method) => {
      const permit = check(method);
      return (request, call) => {
        permit(call);
        return next(lateRequest(request, method), call);
      };
    },
  };
}

/** What the caller lacks; undefined if nothing. */
function missingOf(access: Access, { identity }: ServedContext): string | undefined {
  if (access === "open" || access === "public") return undefined;
  if (access === "nobody") return "the contract lets nobody call it";
  const missing = access.scopes.filter((scope) => !identity.scopes?.includes(scope));
  return missing.length > 0 ? missing.join(" ") : undefined;
}
