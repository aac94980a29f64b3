import type { DescriptorProto, FieldDescriptorProto, OneofDescriptorProto } from "@bufbuild/protobuf/wkt";
import type { Contract } from "../../contract/contract.ts";
import { requestsWith } from "../request-types.ts";

/** The file that constraints are written with: most contracts do not import it. */
const VALIDATE_PROTO = "buf/validate/validate.proto";

/** The number of protovalidate's options of messages, fields and oneofs alike. */
const CONSTRAINTS = 1159;

/**
 * The request types of a contract's methods, by the methods' names, of those requests that have a constraint, be it
 * deep inside. Read from the descriptors that the contract carries, so that a server which cannot evaluate constraints
 * still knows of them.
 */
export function constrainedRequests(contract: Contract): ReadonlyMap<string, string> {
  return requestsWith(contract, VALIDATE_PROTO, isConstrained);
}

function isConstrained(message: DescriptorProto): boolean {
  return [message, ...message.field, ...message.oneofDecl].some(hasConstraint);
}

function hasConstraint({ options }: DescriptorProto | FieldDescriptorProto | OneofDescriptorProto): boolean {
  return options?.$unknown?.some(({ no }) => no === CONSTRAINTS) ?? false;
}
