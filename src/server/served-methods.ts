import type { Contract } from "../contract/contract.ts";
import { show } from "../core/check-options.ts";
import type { Method } from "../core/method.ts";
import { methodsOf } from "./contract-methods.ts";
import { methodsWithMaps, refusingPrototypes } from "./inherited-maps.ts";
import type { ServerContext } from "./server-context.ts";

/** A method of a contract with the handler that was given for it. */
export interface ServedMethod {
  readonly method: Method;
  readonly handler: (request: unknown, context: ServerContext) => unknown;
}

/** The methods of a contract, each with its handler; `handlerProblems` says whether each has one. */
export function servedMethods(contract: Contract, handlers: object): ServedMethod[] {
  const given = handlers as Record<string, ServedMethod["handler"]>;
  const withMaps = methodsWithMaps(contract);
  return methodsOf(contract).map(({ key, method }) => {
    const request = withMaps.has(method.name) ? refusingPrototypes(method.request) : method.request;
    const handler: ServedMethod["handler"] = (message, context) => given[key]?.(message, context);
    return { method: { ...method, request }, handler: method.responseStream ? streaming(method, handler) : handler };
  });
}

/** The handler of a stream, which says of an answer that is none what it has to be. */
function streaming({ path }: Method, handler: ServedMethod["handler"]): ServedMethod["handler"] {
  return (message, context) => {
    const answer = handler(message, context);
    if (isAsyncIterable(answer)) return answer;
    // An async function's own failure has nobody to hear it, which would end the process.
    if (answer instanceof Promise) answer.catch(() => {});
    const what = "the handler of a stream returns an AsyncIterable, as an async generator (async function*) does";
    throw new TypeError(`${path}: ${what}; it returned ${answer instanceof Promise ? "a promise" : show(answer)}`);
  };
}

function isAsyncIterable(value: unknown): boolean {
  return typeof (value as Partial<AsyncIterable<unknown>> | null | undefined)?.[Symbol.asyncIterator] === "function";
}

/** All that is wrong with a contract's handlers: methods without one, and names that no method has. */
export function handlerProblems(contract: Contract, handlers: unknown): string[] {
  if (!isKeyed(handlers)) return [`the handlers must be an object; they are ${show(handlers)}`];
  const keys = methodsOf(contract).map(({ key }) => key);
  const missing = keys.filter((key) => !isGiven(handlers, key));
  const strays = strayNames(handlers, new Set(keys));
  return [
    ...(missing.length > 0 ? [`no handler for ${missing.join(", ")}`] : []),
    ...(strays.length > 0 ? [`no method is called ${strays.join(", ")}: there are ${keys.join(", ")}`] : []),
  ];
}

function isKeyed(value: unknown): value is object {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}

/** Handlers may be an object or an instance of a class; what every object has is no handler. */
function isGiven(handlers: object, key: string): boolean {
  const found: unknown = Reflect.get(handlers, key);
  const common = key === "constructor" ? !Object.hasOwn(handlers, key) : found === Reflect.get(Object.prototype, key);
  return typeof found === "function" && !common;
}

/** Functions of an object that is there for the handlers alone; classes and modules have others for themselves. */
function strayNames(handlers: object, keys: ReadonlySet<string>): string[] {
  if (Object.getPrototypeOf(handlers) !== Object.prototype) return [];
  const functions = Object.entries(handlers).filter(([, value]) => typeof value === "function");
  return functions.map(([name]) => name).filter((name) => !keys.has(name));
}
