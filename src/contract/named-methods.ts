import { show } from "../core/check-options.ts";
import type { Method } from "../core/method.ts";
import { type ServiceDefinition, toMethod } from "./definition.ts";

/** The names of a service's unary methods, as in its definition: `createOrder`. */
export type UnaryNameOf<Service extends ServiceDefinition> = {
  readonly [Name in keyof Service["methods"]]: Service["methods"][Name] extends
    | { readonly requestStream: true }
    | { readonly responseStream: true }
    ? never
    : Name;
}[keyof Service["methods"]] &
  string;

/** The named methods of a service. */
export function namedMethods(service: ServiceDefinition, names: readonly string[]): Method[] {
  return Object.entries(service.methods).flatMap(([name, definition]) =>
    names.includes(name) ? [toMethod(service, definition)] : [],
  );
}

/** What is wrong with what should be a definition that ts-proto has printed. */
export function serviceProblems(service: unknown): string[] {
  return isService(service)
    ? []
    : ["the first argument is no definition; pass the service's definition that ts-proto prints"];
}

/** All that is wrong with the names of some of a service's unary methods. */
export function namesProblems(service: unknown, names: unknown): string[] {
  if (!Array.isArray(names)) return [names === undefined ? NO_NAMES : `methods must be an array; it is ${show(names)}`];
  if (names.length === 0) return [NO_NAMES];
  if (!isService(service)) return [];
  const { methods } = service;
  return names.flatMap((name: unknown) => {
    const method = typeof name === "string" && Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (!method) return [`methods: there is no method ${show(name)}; there are ${Object.keys(methods).join(", ")}`];
    return method.requestStream || method.responseStream ? [`methods: ${show(name)} is not unary`] : [];
  });
}

const NO_NAMES = "methods is missing: name those that have keys, such as createOrder";

function isService(service: unknown): service is ServiceDefinition {
  const candidate = service as Partial<ServiceDefinition> | null | undefined;
  return typeof candidate === "object" && Boolean(candidate?.fullName && candidate.methods);
}
