import type { Contract } from "../contract/contract.ts";
import { toMethod } from "../contract/definition.ts";
import type { CallOptions } from "../core/call-options.ts";
import { show } from "../core/check-options.ts";
import type { RpcError } from "../core/errors.ts";

/** What answers for one method of a client when no answer can be had. */
type FallbackOf<Method> = Method extends (request: infer Request, options?: CallOptions) => Promise<infer Response>
  ? Request extends AsyncIterable<unknown>
    ? never
    : (request: Request, error: RpcError) => Response
  : never;

/** What answers for the methods of a client when no answer can be had, by their names. */
export type FallbacksOf<Client> = { readonly [Name in keyof Client]?: FallbackOf<Client[Name]> | undefined };

/** The same, where types no longer matter. */
export type Fallback = (request: unknown, error: RpcError) => unknown;

/** A method's fallback, if it has one. */
export function fallbackOf(fallbacks: object | undefined, key: string): Fallback | undefined {
  return fallbacks && Object.hasOwn(fallbacks, key) ? Reflect.get(fallbacks, key) : undefined;
}

/** All that is wrong with a client's fallbacks. */
export function fallbackProblems({ definition }: Contract, fallbacks: unknown): string[] {
  if (typeof fallbacks !== "object" || fallbacks === null) return [];
  return Object.entries(fallbacks).flatMap(([key, fallback]) => {
    if (fallback === undefined) return [];
    const known = Object.hasOwn(definition.methods, key) ? definition.methods[key] : undefined;
    if (!known) return [`fallback.${key}: no such method; there are ${Object.keys(definition.methods).join(", ")}`];
    const { kind, idempotency } = toMethod(definition, known);
    const read = kind === "unary" && idempotency === "NO_SIDE_EFFECTS";
    return [
      ...(typeof fallback === "function" ? [] : [`fallback.${key} must be a function; it is ${show(fallback)}`]),
      ...(read ? [] : [`fallback.${key}: ${NO_READ}`]),
    ];
  });
}

const NO_READ =
  "only for a unary method with idempotency_level = NO_SIDE_EFFECTS can anything else answer: what others do would not have been done";
