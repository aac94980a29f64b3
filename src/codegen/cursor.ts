import { type DescField, type DescMethod, ScalarType } from "@bufbuild/protobuf";
import { FieldOptions_JSType as JsType } from "@bufbuild/protobuf/wkt";
import type { CursorAccess, CursorType } from "../contract/cursor.ts";
import type { ResumePolicy } from "../contract/policy.ts";
import type { Problem } from "../contract/value-checks.ts";
import { describeField, type FieldRole, findField, oneScalar } from "./named-field.ts";
import { fieldName } from "./names.ts";
import type { TsProtoOptions } from "./plugin-options.ts";

/** The fields that a stream resumes by: their keys in ts-proto's messages. */
export type Cursor = Omit<CursorAccess, "read" | "write">;

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

const CURSOR = { does: "holds the position", what: "a cursor", type: oneScalar(...TYPES.keys()) };
const REQUEST: FieldRole = { ...CURSOR, path: ["resume", "requestField"], option: "request_field" };
const RESPONSE: FieldRole = { ...CURSOR, path: ["resume", "cursorField"], option: "cursor_field" };

const PROGRESS: FieldRole = {
  path: ["resume", "progressField"],
  option: "progress_field",
  does: "marks one that is not delivered",
  what: "a progress marker",
  type: oneScalar(ScalarType.BOOL),
};

const LIMIT: FieldRole = {
  path: ["resume", "limitField"],
  option: "limit_field",
  does: "says how many responses at most",
  what: "a limit",
  type: oneScalar(
    ...[ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32, ScalarType.UINT32, ScalarType.FIXED32],
    ...[ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64, ScalarType.UINT64, ScalarType.FIXED64],
  ),
};

/** Finds the fields that `resume` names, and tells why the stream cannot resume by them. */
export function readCursor(
  { input, output }: DescMethod,
  resume: Partial<ResumePolicy>,
  options: TsProtoOptions,
): { readonly cursor?: Cursor; readonly problems: readonly Problem[] } {
  const { requestField, cursorField, progressField, limitField } = resume;
  const problems: Problem[] = [];
  const request = findField(input, requestField, REQUEST, problems);
  const response = findField(output, cursorField, RESPONSE, problems);
  const type = request && response && sharedType(request, response, options, problems);
  // What is not named is not wanted; what is named emptily reads the same.
  const progress = progressField ? findField(output, progressField, PROGRESS, problems) : undefined;
  const limit = limitField ? findField(input, limitField, LIMIT, problems) : undefined;
  if (limit && limit === request) problems.push(doubled(limit));
  if (!request || !response || !type) return { problems };
  return {
    cursor: {
      type,
      requestField: fieldName(request, options),
      cursorField: fieldName(response, options),
      ...(progress && { progressField: fieldName(progress, options) }),
      ...(limit && { limitField: fieldName(limit, options) }),
    },
    problems,
  };
}

/** The type of both fields that hold a position. */
function sharedType(
  request: DescField,
  response: DescField,
  options: TsProtoOptions,
  problems: Problem[],
): CursorType | undefined {
  const type = cursorType(request);
  if (type === cursorType(response) && jsType(request, options) === jsType(response, options)) return type;
  const message = `must be of one type; ${describeField(request)}, ${describeField(response)}`;
  problems.push({ path: ["resume"], message: `request_field and cursor_field ${message}` });
  return undefined;
}

function doubled(limit: DescField): Problem {
  const message = `${limit.name} is request_field too: a limit must be a field of its own`;
  return { path: LIMIT.path, message };
}

function cursorType(field: DescField): CursorType | undefined {
  return field.fieldKind === "scalar" ? TYPES.get(field.scalar) : undefined;
}

/** What decides on the type of a 64-bit field besides `forceLong`. */
function jsType(field: DescField, options: TsProtoOptions): JsType {
  return (options.useJsTypeOverride && field.proto.options?.jstype) || JsType.JS_NORMAL;
}
