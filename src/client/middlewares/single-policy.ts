import type { ClientMiddlewareCall } from "nice-grpc-common";
import { isNumber, optionProblems } from "../../contract/option-problems.ts";
import type { RetryBudgetPolicy, RetryThrottlingPolicy } from "../../contract/policy.ts";
import { checkBudget, checkThrottling } from "../../contract/validate.ts";
import type { OptionCheck } from "../../core/check-options.ts";
import { type Method, methodKind } from "../../core/method.ts";

type MethodDescriptor = ClientMiddlewareCall<unknown, unknown>["method"];

/** nice-grpc has encoded and decoded the messages that a middleware sees. */
const NO_CODEC = {
  encode(): never {
    throw new TypeError("nice-grpc encodes");
  },
  decode(): never {
    throw new TypeError("nice-grpc decodes");
  },
};

/** The method that nice-grpc describes to a middleware. */
export function describedMethod({ path, requestStream, responseStream, options }: MethodDescriptor): Method {
  const [, service = "", name = ""] = path.split("/");
  return {
    ...{ path, service, name, kind: methodKind(requestStream, responseStream), requestStream, responseStream },
    // Definitions of grpc-js and google-protobuf come without options.
    idempotency: (options as typeof options | undefined)?.idempotencyLevel ?? "UNKNOWN",
    ...{ request: NO_CODEC, response: NO_CODEC },
  };
}

/** What a method's path leads to, made when its first call comes. */
export function perMethod<T>(make: (method: Method) => T): (descriptor: MethodDescriptor) => T {
  const made = new Map<string, { readonly value: T }>();
  return (descriptor) => {
    const known = made.get(descriptor.path);
    if (known) return known.value;
    const value = make(describedMethod(descriptor));
    made.set(descriptor.path, { value });
    return value;
  };
}

/** Names of statuses; which there are is for the policy's own check. */
export const areNames: OptionCheck = (value) =>
  Array.isArray(value) ? undefined : `must be an array of names; it is ${JSON.stringify(value)}`;

/** The name of a field. */
export const isName: OptionCheck = (value) =>
  typeof value === "string" && value !== "" ? undefined : `must be a name; it is ${JSON.stringify(value)}`;

const BUDGET: Readonly<Record<keyof RetryBudgetPolicy, OptionCheck>> = {
  ratio: isNumber,
  windowMs: isNumber,
  minInFlight: isNumber,
};

const THROTTLING: Readonly<Record<keyof RetryThrottlingPolicy, OptionCheck>> = {
  maxTokens: isNumber,
  tokenRatio: isNumber,
};

/** All that is wrong with the retry throttle among the options of a middleware. */
export function throttlingProblems(retryThrottling: RetryThrottlingPolicy = {}): string[] {
  return optionProblems(retryThrottling, THROTTLING, checkThrottling, "retryThrottling.");
}

/** All that is wrong with the retry budget among the options of a middleware. */
export function budgetProblems(retryBudget: RetryBudgetPolicy = {}): string[] {
  return optionProblems(retryBudget, BUDGET, checkBudget, "retryBudget.");
}
