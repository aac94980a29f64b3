import type { Contract } from "../../contract/contract.ts";
import { fail } from "../../core/errors.ts";
import { encodeMessage, type Method } from "../../core/method.ts";
import type { FieldViolation } from "../../core/status-detail.ts";
import { methodsOf } from "../contract-methods.ts";
import { DescriptorRegistry } from "../descriptor-registry.ts";
import { hasForeignPrototype, methodsWithMaps } from "../inherited-maps.ts";
import { constrainedRequests } from "./constraints.ts";
import type { MessageCheck, Validation } from "./validation.ts";

/** What is wrong with a request as a handler gets it. */
export type RequestCheck = (request: unknown) => readonly FieldViolation[];

/**
 * The checks of a contract's requests, by the paths of the methods whose requests have any constraint.
 *
 * @param validation `false`: there are none.
 * @throws TypeError if nobody evaluates the constraints, and if some cannot be evaluated: all of them are named.
 */
export function requestChecks(
  contract: Contract,
  validation: Validation | false | undefined,
): ReadonlyMap<string, RequestCheck> {
  const constrained = validation === false ? new Map<string, string>() : constrainedRequests(contract);
  if (validation === false || constrained.size === 0) return new Map();
  if (!validation) throw missing(contract, [...constrained.keys()]);
  const checks = compile(contract, validation, new Set(constrained.values()));
  const withMaps = methodsWithMaps(contract);
  return new Map(
    methodsOf(contract).flatMap(({ method }) => {
      const check = checks.get(constrained.get(method.name) ?? "");
      return check ? [[method.path, checkRequest(method, check, withMaps.has(method.name))] as const] : [];
    }),
  );
}

/**
 * Protovalidate wants protobuf-es's messages. The request is encoded for it, and not kept in bytes from when it came:
 * what is checked is what the handler gets, also where a middleware made it anew.
 */
function checkRequest({ request: codec }: Method, check: MessageCheck, hasMaps: boolean): RequestCheck {
  return (request) => {
    // Where nice-grpc's own server has decoded it: what a map inherits is not encoded, and would not be checked.
    if (hasMaps && hasForeignPrototype(request)) fail("INTERNAL", 'the request has a map with the key "__proto__"');
    return check(encodeMessage(codec, request));
  };
}

/** Found when the service is added, and not by the first who calls it. */
function compile(contract: Contract, validation: Validation, types: ReadonlySet<string>): Map<string, MessageCheck> {
  const { types: registry } = new DescriptorRegistry([contract], validation.files);
  const checkOf = validation.compile(registry);
  const checks = new Map<string, MessageCheck>();
  const problems: string[] = [];
  for (const name of types) {
    try {
      const type = registry.getMessage(name);
      if (!type) throw new Error("there is no such type in the contract's descriptors");
      checks.set(name, checkOf(type));
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (problems.length === 0) return checks;
  throw new TypeError(`${contract.name}: constraints that cannot be evaluated: ${problems.join("; ")}`);
}

function missing({ name }: Contract, methods: readonly string[]): TypeError {
  return new TypeError(
    `${name}: the contract has constraints on the requests of ${methods.join(", ")}; install @bufbuild/protovalidate and give the server { validation: protovalidate() }, from bowline/validate, or { validation: false } to serve them unchecked`,
  );
}
