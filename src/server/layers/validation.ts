import type { ServerLayer } from "../../core/served-call.ts";
import { checkedRequests, checkRequest } from "../validation/refusal.ts";
import type { RequestCheck } from "../validation/request-checks.ts";

/**
 * Refuses requests that do not keep to the constraints of their contract, before their handler sees them. Of a client's
 * stream, each message is checked as the handler reads it.
 *
 * @param checks by the paths of the methods whose requests have constraints; others are left alone.
 */
export function validationLayer(checks: ReadonlyMap<string, RequestCheck>): ServerLayer {
  return {
    unary: (next, { path, requestStream }) => {
      const check = checks.get(path);
      if (!check) return next;
      return async (request, call) => next(requestStream ? many(request, check) : one(request, check), call);
    },
    stream: (next, { path, requestStream }) => {
      const check = checks.get(path);
      if (!check) return next;
      return (request, call) => next(requestStream ? many(request, check) : one(request, check), call);
    },
  };
}

function one(request: unknown, check: RequestCheck): unknown {
  checkRequest(request, check);
  return request;
}

function many(requests: unknown, check: RequestCheck): AsyncIterable<unknown> {
  return checkedRequests(requests as AsyncIterable<unknown>, (request) => checkRequest(request, check));
}
