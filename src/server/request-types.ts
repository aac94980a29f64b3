import { fromBinary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import {
  type DescriptorProto,
  FieldDescriptorProto_Type,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import type { Contract } from "../contract/contract.ts";

/**
 * The request types of a contract's methods, by the methods' names, of those requests in which a message of some kind
 * is, be it deep inside.
 *
 * @param mark what the descriptors of such messages have in them: where it is not, they need not be decoded.
 * @param isSought whether a message is of the kind.
 */
export function requestsWith(
  { name, descriptors }: Contract,
  mark: string,
  isSought: (message: DescriptorProto) => boolean,
): ReadonlyMap<string, string> {
  const bytes = base64Decode(descriptors());
  if (!includes(bytes, new TextEncoder().encode(mark))) return new Map();
  const { file } = fromBinary(FileDescriptorSetSchema, bytes);
  const messages = new Map(file.flatMap(messagesOf));
  const methods = file.flatMap((one) =>
    one.service.flatMap((service) => (fullName(one.package, service.name) === `.${name}` ? service.method : [])),
  );
  const holding = methods.filter(({ inputType }) => holds(inputType, messages, isSought, new Set()));
  return new Map(holding.map((method) => [method.name, method.inputType.slice(1)]));
}

/** Whether bytes stand somewhere among others. */
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

function holds(
  name: string,
  messages: ReadonlyMap<string, DescriptorProto>,
  isSought: (message: DescriptorProto) => boolean,
  seen: Set<string>,
): boolean {
  const message = messages.get(name);
  if (!message || seen.has(name)) return false;
  seen.add(name);
  if (isSought(message)) return true;
  const inside = message.field.filter(({ type }) => type === FieldDescriptorProto_Type.MESSAGE);
  return inside.some(({ typeName }) => holds(typeName, messages, isSought, seen));
}
