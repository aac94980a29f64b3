import { type DescField, type DescMessage, type DescMethod, ScalarType } from "@bufbuild/protobuf";
import { FieldOptions_JSType as JsType } from "@bufbuild/protobuf/wkt";
import type { CursorType } from "../contract/cursor.ts";
import type { ResumePolicy } from "../contract/policy.ts";
import type { Problem } from "../contract/value-checks.ts";
import { fieldName } from "./names.ts";
import type { TsProtoOptions } from "./plugin-options.ts";

/** The fields of a resumable stream that hold its position. */
export interface Cursor {
  readonly type: CursorType;
  /** Their keys in ts-proto's messages. */
  readonly requestField: string;
  readonly cursorField: string;
}

/** The scalar types that a cursor may have, and what each is to the runtime. */
const TYPES: ReadonlyMap<ScalarType, CursorType> = new Map([
  [ScalarType.INT64, "int64"],
  [ScalarType.SINT64, "int64"],
  [ScalarType.SFIXED64, "int64"],
  [ScalarType.UINT64, "uint64"],
  [ScalarType.FIXED64, "uint64"],
  [ScalarType.STRING, "string"],
  [ScalarType.BYTES, "bytes"],
]);

type Side = keyof ResumePolicy;

/** Finds the fields that `resume` names, and tells why they cannot hold a cursor. */
export function readCursor(
  method: DescMethod,
  resume: Partial<ResumePolicy>,
  options: TsProtoOptions,
): { readonly cursor?: Cursor; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const request = findField(method.input, "requestField", resume.requestField, problems);
  const response = findField(method.output, "cursorField", resume.cursorField, problems);
  if (!request || !response) return { problems };
  const type = cursorType(request);
  if (type !== cursorType(response) || jsType(request, options) !== jsType(response, options)) {
    const message = `must be of one type; ${describe(request)}, ${describe(response)}`;
    return { problems: [{ path: ["resume"], message: `request_field and cursor_field ${message}` }] };
  }
  if (!type) return { problems };
  const cursor = { type, requestField: fieldName(request, options), cursorField: fieldName(response, options) };
  return { cursor, problems };
}

function findField(message: DescMessage, side: Side, name: string | undefined, problems: Problem[]) {
  const found = message.fields.find((field) => field.name === name);
  const wrong = found ? unfit(found) : missing(message, side, name);
  if (wrong) problems.push({ path: ["resume", side], message: wrong });
  return wrong ? undefined : found;
}

function missing(message: DescMessage, side: Side, name: string | undefined): string {
  const known = message.fields.map((field) => field.name).join(", ") || "none";
  if (name) return `${message.name} has no field ${name}; it has ${known}`;
  const option = side === "requestField" ? "request_field" : "cursor_field";
  return `${option} is missing: name the field of ${message.name} that holds the position; it has ${known}`;
}

function unfit(field: DescField): string | undefined {
  if (field.oneof) return `${field.name} is in the oneof ${field.oneof.name}: a cursor must be a field of its own`;
  if (cursorType(field)) return undefined;
  return `${describe(field)}: a cursor must be one int64, sint64, sfixed64, uint64, fixed64, string or bytes`;
}

function cursorType(field: DescField): CursorType | undefined {
  return field.fieldKind === "scalar" ? TYPES.get(field.scalar) : undefined;
}

/** What decides on the type of a 64-bit field besides `forceLong`. */
function jsType(field: DescField, options: TsProtoOptions): JsType {
  return (options.useJsTypeOverride && field.proto.options?.jstype) || JsType.JS_NORMAL;
}

function describe(field: DescField): string {
  const jstype = field.proto.options?.jstype ? ` with jstype ${JsType[field.proto.options.jstype]}` : "";
  return `${field.parent.name}.${field.name} is ${kindOf(field)}${jstype}`;
}

function kindOf(field: DescField): string {
  if (field.fieldKind === "map") return "a map";
  if (field.fieldKind === "list") return "repeated";
  if (field.message) return `the message ${field.message.typeName}`;
  if (field.enum) return `the enum ${field.enum.typeName}`;
  return field.fieldKind === "scalar" ? ScalarType[field.scalar].toLowerCase() : "unknown";
}
