import type { Contract } from "../../contract/contract.ts";
import { methodPaths, methodsOf } from "../contract-methods.ts";

/**
 * Who may call a method: `open` to all, of whom nothing is asked; `public`, where callers may come without credentials;
 * those with scopes, of which there may be none; `nobody`.
 */
export type Access = "open" | "public" | "nobody" | { readonly scopes: readonly string[] };

/** Who may call which method, by path. A method of which the contract says nothing is for nobody. */
export type AccessOf = (path: string) => Access;

/** As the contract says. */
export function contractAccess(contract: Contract): AccessOf {
  const entries = methodsOf(contract).map(({ method: { path }, policy: { auth } }): [string, Access] => {
    if (!auth) return [path, "nobody"];
    return [path, auth.public ? "public" : { scopes: auth.scopes ?? [] }];
  });
  const access = new Map(entries);
  return (path) => access.get(path) ?? "nobody";
}

/** The methods that are not for whoever comes, by what the contract says. */
export function restrictedPaths(contract: Contract): string[] {
  const accessOf = contractAccess(contract);
  return methodPaths(contract).filter((path) => typeof accessOf(path) === "object");
}

/** Health is for whoever asks of a service that he knows; its list would tell which there are. */
export const healthAccess: AccessOf = (path) => (path.endsWith("/List") ? { scopes: [] } : "open");

/** Of a service of the toolkit's own, whose contract says nothing. */
export function sameAccess(access: Access): AccessOf {
  return () => access;
}

/** What is said of who may ask a server for its contracts. */
interface ReflectionSettings {
  readonly authenticate?: unknown;
  readonly endStreamsAtExpiry?: unknown;
  readonly reflection?: unknown;
}

/** Who may ask for reflection; undefined if it is not served. */
export function reflectionAccess({ authenticate, reflection }: ReflectionSettings): Access | undefined {
  if (reflection === false) return undefined;
  return !authenticate || reflection === true ? "open" : { scopes: [] };
}

/** What is said of authentication on a server that has none: it would be without effect. */
export function accessProblems({ authenticate, endStreamsAtExpiry, reflection }: ReflectionSettings): string[] {
  if (authenticate !== undefined && authenticate !== false) return [];
  return [
    ...(reflection === "authenticated" ? ['reflection "authenticated" takes authenticate'] : []),
    ...(endStreamsAtExpiry === undefined ? [] : ["endStreamsAtExpiry takes authenticate"]),
  ];
}
