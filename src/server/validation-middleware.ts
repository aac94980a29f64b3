import type { ServerMiddleware } from "nice-grpc-common";
import { type Contract, requireContract } from "../contract/contract.ts";
import { isOwnRefusal, toServerError } from "./server-error.ts";
import { checkedRequests, checkRequest } from "./validation/refusal.ts";
import { requestChecks } from "./validation/request-checks.ts";
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
    const accept = (request: unknown) => checkRequest(request, check);
    try {
      if (call.requestStream) return yield* proceed(checkedRequests(call.request, accept));
      accept(call.request);
      return yield* proceed(call.request);
    } catch (error) {
      throw isOwnRefusal(error) ? toServerError(error, context) : error;
    }
  };
}
