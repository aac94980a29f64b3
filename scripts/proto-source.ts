import { createRegistry, type DescFile, toJson } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** A part of a descriptor as JSON has it, with the names of descriptor.proto. */
type Json = Readonly<Record<string, unknown>>;

/** What this printer knows of each part of a descriptor; anything else would be lost without a word. */
const KNOWN = {
  file: "name package dependency options message_type enum_type extension",
  message: "name field oneof_decl reserved_range reserved_name extension_range",
  field: "name number label type type_name json_name oneof_index options extendee",
  enum: "name value reserved_range reserved_name",
};

/** The number after the last that a field may have. */
const END_OF_FIELDS = 536_870_912;

/**
 * The source of a proto2 file of which only the descriptor is to be had. There are no comments: a descriptor has none.
 *
 * @throws Error for what it does not know to print: nested types, groups, defaults, services.
 */
export function printProto(file: DescFile): string {
  const json = toJson(FileDescriptorProtoSchema, file.proto, {
    registry: createRegistry(file),
    useProtoFieldName: true,
  });
  const proto = known("file", json as Json);
  const options = Object.entries((proto.options ?? {}) as Json);
  return [
    'syntax = "proto2";\n',
    `package ${proto.package};\n`,
    ...list(proto.dependency).map((name) => `import ${JSON.stringify(name)};`),
    "",
    ...options.map(([name, value]) => `option ${name} = ${JSON.stringify(value)};`),
    "",
    ...list(proto.extension).map(printExtension),
    ...list(proto.message_type).map(printMessage),
    ...list(proto.enum_type).map(printEnum),
  ].join("\n");
}

function known(kind: keyof typeof KNOWN, part: unknown): Json {
  const names = KNOWN[kind].split(" ");
  const strange = Object.keys(part as Json).find((name) => !names.includes(name));
  if (strange) throw new Error(`a ${kind} has ${strange}, which cannot be printed`);
  return part as Json;
}

function list(value: unknown): readonly Json[] {
  return (value ?? []) as readonly Json[];
}

function block(head: string, lines: readonly string[]): string {
  const indented = lines.flatMap((line) => line.split("\n")).map((line) => `  ${line}`);
  return [`${head} {`, ...indented, "}\n"].join("\n");
}

function printExtension(extension: Json): string {
  return block(`extend ${extension.extendee}`, [printField(extension, "optional ")]);
}

function printMessage(part: Json): string {
  const message = known("message", part);
  const fields = list(message.field);
  const oneofs = list(message.oneof_decl).map(({ name }, index) =>
    block(
      `oneof ${name}`,
      fields.filter(({ oneof_index }) => oneof_index === index).map((field) => printField(field, "")),
    ),
  );
  return block(`message ${message.name}`, [
    ...printReserved(message, 1),
    ...list(message.extension_range).map((range) => `extensions ${printRange(range, 1)};`),
    ...fields.filter(({ oneof_index }) => oneof_index === undefined).map((field) => printField(field, labelOf(field))),
    ...oneofs,
  ]);
}

function labelOf({ label }: Json): string {
  return `${String(label).replace("LABEL_", "").toLowerCase()} `;
}

function printField(part: Json, label: string): string {
  const { type, type_name, name, number, options = {} } = known("field", part);
  const typed = type_name ?? String(type).replace("TYPE_", "").toLowerCase();
  const given = Object.entries(options as Json).map(([key, value]) => `${optionName(key)} = ${printValue(value)}`);
  return `${label}${typed} ${name} = ${number}${given.length > 0 ? ` [${given.join(", ")}]` : ""};`;
}

/** JSON has extensions in brackets, options have them in parentheses. */
function optionName(key: string): string {
  return key.replace(/^\[(.*)\]$/, "($1)");
}

/** A value in protobuf's text format. */
function printValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(printValue).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, one]) => `${name}: ${printValue(one)}`);
  return `{${fields.join(", ")}}`;
}

function printEnum(part: Json): string {
  const { name, value, ...reserved } = known("enum", part);
  const values = list(value).map((one) => `${one.name} = ${one.number};`);
  return block(`enum ${name}`, [...printReserved(reserved, 0), ...values]);
}

/** @param beyond how far a range's end lies beyond its last number: 1 in messages, 0 in enums. */
function printReserved({ reserved_range, reserved_name }: Json, beyond: number): string[] {
  const names = (reserved_name ?? []) as string[];
  return [
    ...list(reserved_range).map((range) => `reserved ${printRange(range, beyond)};`),
    ...(names.length > 0 ? [`reserved ${names.map((name) => JSON.stringify(name)).join(", ")};`] : []),
  ];
}

function printRange({ start, end }: Json, beyond: number): string {
  const last = Number(end) - beyond;
  if (last === start) return String(start);
  return `${start} to ${end === END_OF_FIELDS ? "max" : last}`;
}
