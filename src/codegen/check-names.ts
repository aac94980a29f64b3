import type { DescEnum, DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { definitionName, enumTypeName, messageTypeName, methodKey } from "./names.ts";
import type { TsProtoOptions } from "./plugin-options.ts";
import { RESERVED_WORDS, TYPE_WORDS } from "./reserved-words.ts";
import type { SourceFile } from "./source-file.ts";
import type { SourcePath } from "./source-positions.ts";

/** What ts-proto needs for itself in each module. */
const OWN_NAMES = new Set(
  "protobufPackage protobufFileName DeepPartial MessageFns Builtin BinaryReader BinaryWriter Uint8Array".split(" "),
);

// Field numbers in descriptor.proto.
const NAME = 1;
const FILE = { message: 4, enum: 5, service: 6 };
const MESSAGE = { message: 3, enum: 4 };
const SERVICE_METHOD = 2;

/** Tells of the names in a file that ts-proto prints into modules that do not compile. */
export function checkNames(desc: DescFile, options: TsProtoOptions, file: SourceFile): void {
  const definitions = new Set(desc.services.map(({ name }) => definitionName(name)));
  for (const { type, kind, name, at } of types(desc, options)) {
    const reason = reasonAgainst(type, definitions);
    if (reason) file.problem([...at, NAME], `${kind} ${name}: ${reason}; rename it, or give ts-proto a typeSuffix`);
  }
  for (const [index, service] of desc.services.entries()) checkMethods(service, [FILE.service, index], file);
}

function reasonAgainst(type: string, definitions: ReadonlySet<string>): string | undefined {
  if (RESERVED_WORDS.has(type) || TYPE_WORDS.has(type)) return `${type} is a reserved word of TypeScript`;
  if (OWN_NAMES.has(type)) return `ts-proto has a ${type} of its own in each module`;
  return definitions.has(type) ? `ts-proto has a ${type} of its own, the service's definition` : undefined;
}

interface NamedType {
  /** What ts-proto calls it. */
  readonly type: string;
  readonly kind: "message" | "enum";
  readonly name: string;
  readonly at: SourcePath;
}

function types(desc: DescFile, options: TsProtoOptions): NamedType[] {
  return [
    ...desc.enums.map((type, index) => enumType(type, [FILE.enum, index], options)),
    ...desc.messages.flatMap((type, index) => messageTypes(type, [FILE.message, index], options)),
  ];
}

function messageTypes(message: DescMessage, at: SourcePath, options: TsProtoOptions): NamedType[] {
  return [
    { type: messageTypeName(message, options), kind: "message", name: message.name, at },
    ...message.nestedEnums.map((type, index) => enumType(type, [...at, MESSAGE.enum, index], options)),
    ...message.nestedMessages.flatMap((type) => {
      // The place among all nested types: entries of maps count too, and are not among nestedMessages.
      const index = message.proto.nestedType.indexOf(type.proto);
      return messageTypes(type, [...at, MESSAGE.message, index], options);
    }),
  ];
}

function enumType(type: DescEnum, at: SourcePath, options: TsProtoOptions): NamedType {
  return { type: enumTypeName(type, options), kind: "enum", name: type.name, at };
}

function checkMethods(service: DescService, at: SourcePath, file: SourceFile): void {
  const first = new Map<string, string>();
  for (const [index, { name }] of service.methods.entries()) {
    const place = [...at, SERVICE_METHOD, index, NAME];
    const key = methodKey(name);
    const other = first.get(key);
    if (other) file.problem(place, `rpc ${name} and rpc ${other} are both ${key} in TypeScript; rename one of them`);
    if (key === "__proto__") file.problem(place, "rpc __proto__: no object in JavaScript can have it; rename it");
    first.set(key, name);
  }
}
