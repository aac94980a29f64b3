import type { Contract } from "../contract/contract.ts";
import { toMethod } from "../contract/definition.ts";
import { type MethodPolicy, mergePolicy } from "../contract/policy.ts";
import type { Method } from "../core/method.ts";

/** A method of a contract, as its server sees it. */
export interface ContractMethod {
  /** What its handler goes by. */
  readonly key: string;
  /** With how much its calls matter and what its positions are, where the contract says. */
  readonly method: Method;
  /** What the contract says of it, and of its service. */
  readonly policy: MethodPolicy;
}

/** The methods of a contract, each with what holds for it. */
export function methodsOf({ definition, service, methods, cursors }: Contract): ContractMethod[] {
  return Object.entries(definition.methods).map(([key, one]) => {
    const policy = mergePolicy(service, methods[key] ?? {}, one.responseStream);
    const { criticality } = policy;
    const cursorType = Object.hasOwn(cursors, key) ? cursors[key]?.type : undefined;
    const said = { ...(criticality && { criticality }), ...(cursorType && { cursorType }) };
    return { key, method: { ...toMethod(definition, one), ...said }, policy };
  });
}

/** The paths of a contract's methods. */
export function methodPaths(contract: Contract): string[] {
  return methodsOf(contract).map(({ method }) => method.path);
}
