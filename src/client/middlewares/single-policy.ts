import type { ClientMiddlewareCall } from "nice-grpc-common";
import type { RetryBudgetPolicy, RetryThrottlingPolicy } from "../../contract/policy.ts";
import { checkBudget, checkThrottling } from "../../contract/validate.ts";
import type { Problem } from "../../contract/value-checks.ts";
import { checkOptions, inOptionNames, type OptionCheck } from "../../core/check-options.ts";
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

/** A number; what it may be is for the policy's own check. */
export const isNumber: OptionCheck = (value) =>
  typeof value === "number" ? undefined : `must be a number; it is ${JSON.stringify(value)}`;

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

/**
 * All that is wrong with options that are a policy: values of another kind, and what the policy's own check says of the
 * others.
 *
 * @param within where the options are, such as `retryBudget.`.
 */
export function optionProblems<T extends object>(
  options: T,
  checks: Readonly<Record<string, OptionCheck>>,
  check: (policy: Partial<T>) => readonly Problem[],
  within = "",
): string[] {
  const found = check(wellTyped(options, checks)).map(({ path: [, ...names], message }) =>
    inOptionNames(names.length > 0 ? `${within}${names.join(".")} ${message}` : message),
  );
  return [...checkOptions(options, checks, within), ...found];
}

/** Those of the options that are of the right kind, for the check that looks at what they say. */
export function wellTyped<T extends object>(options: T, checks: Readonly<Record<string, OptionCheck>>): Partial<T> {
  const entries = Object.entries(options ?? {}).filter(([name, value]) => checks[name]?.(value) === undefined);
  return Object.fromEntries(entries) as Partial<T>;
}
