import { fromBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import {
  type DescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
  type OneofDescriptorProto,
} from "@bufbuild/protobuf/wkt";
import type { Contract } from "../../contract/contract.ts";

/** The file that constraints are written with. */
const VALIDATE_PROTO = new TextEncoder().encode("buf/validate/validate.proto");

/** The number of protovalidate's options of messages, fields and oneofs alike. */
const CONSTRAINTS = 1159;

/**
 * The request types of a contract's methods, by the methods' names, of those requests that have a constraint, be it
 * deep inside. Read from the descriptors that the contract carries, so that a server which cannot evaluate constraints
 * still knows of them.
 */
export function constrainedRequests({ name, descriptors }: Contract): ReadonlyMap<string, string> {
  const bytes = base64Decode(descriptors());
  if (!includes(bytes, VALIDATE_PROTO)) return new Map();
  const { file } = fromBinary(FileDescriptorSetSchema, bytes);
  const messages = new Map(file.flatMap(messagesOf));
  const methods = file.flatMap((one) =>
    one.service.flatMap((service) => (fullName(one.package, service.name) === `.${name}` ? service.method : [])),
  );
  const constrained = methods.filter(({ inputType }) => isConstrained(inputType, messages, new Set()));
  return new Map(constrained.map((method) => [method.name, method.inputType.slice(1)]));
}

/** Whether bytes stand somewhere among others: most contracts have no constraints, and need not be decoded. */
function includes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  const [first = 0] = wanted;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (wanted.every((byte, n) => bytes[at + n] === byte)) return true;
  }
  return false;
}

/** A file's messages, those within others too, by their names as fields refer to them. */
function messagesOf({ package: scope, messageType }: FileDescriptorProto): [string, DescriptorProto][] {
  const within = (prefix: string, message: DescriptorProto): [string, DescriptorProto][] => {
    const name = `${prefix}.${message.name}`;
    return [[name, message], ...message.nestedType.flatMap((nested) => within(name, nested))];
  };
  return messageType.flatMap((message) => within(scope === "" ? "" : `.${scope}`, message));
}

function fullName(scope: string, name: string): string {
  return scope === "" ? `.${name}` : `.${scope}.${name}`;
}

function isConstrained(name: string, messages: ReadonlyMap<string, DescriptorProto>, seen: Set<string>): boolean {
  const message = messages.get(name);
  if (!message || seen.has(name)) return false;
  seen.add(name);
  const { field, oneofDecl } = message;
  if ([message, ...field, ...oneofDecl].some(hasConstraint)) return true;
  const inside = field.filter(({ type }) => type === FieldDescriptorProto_Type.MESSAGE);
  return inside.some(({ typeName }) => isConstrained(typeName, messages, seen));
}

function hasConstraint({ options }: DescriptorProto | FieldDescriptorProto | OneofDescriptorProto): boolean {
  return options?.$unknown?.some(({ no }) => no === CONSTRAINTS) ?? false;
}
