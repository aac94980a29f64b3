import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { FieldOptions_JSType as JsType } from "@bufbuild/protobuf/wkt";
import type { Problem } from "../contract/value-checks.ts";

/** What a field is for that an option names. */
export interface FieldRole {
  /** Where the option stands in the policy record: `["resume", "cursorField"]`. */
  readonly path: readonly string[];
  /** How the option is called where it is missing: `cursor_field`. */
  readonly option: string;
  /** What the field does, for where none is named: `holds the position`. */
  readonly does: string;
  /** What it is: `a cursor`. */
  readonly what: string;
  /** The types that it may have. */
  readonly type: FieldType;
  /** Whether a field in a oneof does too. */
  readonly inOneof?: boolean;
}

/** Types that a field may have, and what they are called. */
export interface FieldType {
  readonly name: string;
  fits(field: DescField): boolean;
}

/** One value of one of these types. */
export function oneScalar(...types: readonly ScalarType[]): FieldType {
  return {
    name: `one ${oneOf(types.map(scalarName))}`,
    fits: (field) => field.fieldKind === "scalar" && types.includes(field.scalar),
  };
}

/** One message of a type. */
export function oneMessage(typeName: string): FieldType {
  return {
    name: `one ${typeName}`,
    fits: (field) => field.fieldKind === "message" && field.message.typeName === typeName,
  };
}

/** A list of messages, of a type if one is given. */
export function listOf(typeName?: string): FieldType {
  return {
    name: `repeated ${typeName ?? "messages"}`,
    fits: (field) =>
      field.fieldKind === "list" &&
      field.message !== undefined &&
      field.message.typeName === (typeName ?? field.message.typeName),
  };
}

/**
 * The field that an option names, unless it cannot be what it is for; then a problem is added. An `optional` field
 * does, and one of proto2: what is not set reads as false, zero or empty, or as nothing, which is taken for that.
 */
export function findField(
  message: DescMessage,
  name: string | undefined,
  role: FieldRole,
  problems: Problem[],
): DescField | undefined {
  const found = message.fields.find((field) => field.name === name);
  const wrong = found ? unfit(found, role) : missing(message, name, role);
  if (wrong) problems.push({ path: role.path, message: wrong });
  return wrong ? undefined : found;
}

function missing(message: DescMessage, name: string | undefined, { option, does }: FieldRole): string {
  const known = message.fields.map((field) => field.name).join(", ") || "none";
  if (name) return `${message.name} has no field ${name}; it has ${known}`;
  return `${option} is missing: name the field of ${message.name} that ${does}; it has ${known}`;
}

function unfit(field: DescField, { what, type, inOneof }: FieldRole): string | undefined {
  if (field.oneof && !inOneof) {
    return `${field.name} is in the oneof ${field.oneof.name}: ${what} must be a field of its own`;
  }
  if (!type.fits(field)) return `${describeField(field)}: ${what} must be ${type.name}`;
  if (field.fieldKind !== "scalar" || field.getDefaultValue() !== true) return undefined;
  return `${field.name} is true by default: every ${field.parent.name} that does not say otherwise would be ${what}`;
}

function oneOf(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

/** A field and its type: `Event.revision is int64`. */
export function describeField(field: DescField): string {
  const jstype = field.proto.options?.jstype ? ` with jstype ${JsType[field.proto.options.jstype]}` : "";
  return `${field.parent.name}.${field.name} is ${kindOf(field)}${jstype}`;
}

function kindOf(field: DescField): string {
  if (field.fieldKind === "map") return "a map";
  if (field.fieldKind === "list") return `repeated ${elementOf(field)}`;
  if (field.message) return `the message ${field.message.typeName}`;
  if (field.enum) return `the enum ${field.enum.typeName}`;
  return field.fieldKind === "scalar" ? scalarName(field.scalar) : "unknown";
}

function elementOf(list: DescField & { fieldKind: "list" }): string {
  if (list.listKind === "scalar") return scalarName(list.scalar);
  return (list.listKind === "enum" ? list.enum : list.message).typeName;
}

function scalarName(type: ScalarType): string {
  return ScalarType[type].toLowerCase();
}
