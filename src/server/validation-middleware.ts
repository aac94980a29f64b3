import type { CallContext, ServerMiddleware } from "nice-grpc-common";
import { type Contract, requireContract } from "../contract/contract.ts";
import { RpcError } from "../core/errors.ts";
import { ServerError } from "../transport/index.ts";
import { checkedRequests, checkRequest } from "./validation/refusal.ts";
import { type RequestCheck, requestChecks } from "./validation/request-checks.ts";
import { isValidation, type Validation } from "./validation/validation.ts";

/**
 * The constraints of a contract as one nice-grpc server middleware:
 * `createServer().use(validate(OrderService, protovalidate()))`. A request that does not keep to them is answered
 * INVALID_ARGUMENT with a `google.rpc.BadRequest`, before its handler sees it; of a client's stream, where the handler
 * reads it. Calls of other services pass untouched.
 *
 * @throws TypeError for what is no contract or no validation, and for constraints that cannot be evaluated.
 */
export function validate(contract: Contract, validation: Validation): ServerMiddleware {
  requireContract(contract, "validate");
  const unfit = isValidation(validation);
  if (unfit) throw new TypeError(`validate: the second argument ${unfit}`);
  const checks = requestChecks(contract, validation);
  return async function* validated(call, context) {
    const check = checks.get(call.method.path);
    const proceed = (request: unknown) => call.next(request as never, context);
    if (!check) return yield* proceed(call.request);
    const accept = (request: unknown) => acceptOnNice(request, check, context);
    if (call.requestStream) return yield* proceed(checkedRequests(call.request, accept));
    accept(call.request);
    return yield* proceed(call.request);
  };
}

/** nice-grpc's server knows its own errors alone, and sends the trailers that are in the context. */
function acceptOnNice(request: unknown, check: RequestCheck, { trailer }: CallContext): void {
  try {
    checkRequest(request, check);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    for (const [key, value] of Object.entries(error.sendTrailer ?? {})) trailer.set(key, value as never);
    throw new ServerError(error.code, error.details);
  }
}
