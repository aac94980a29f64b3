import type { CursorAccess, HeartbeatAccess } from "./cursor.ts";
import type { MethodDefinition } from "./definition.ts";
import type { MethodPolicy } from "./policy.ts";
import type { Problem } from "./value-checks.ts";

/** What is said of the fields of one method's messages. */
export interface FieldAccess {
  readonly policy: MethodPolicy | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: each access is typed by the generated code
  readonly cursor: CursorAccess<any, any, any> | undefined;
  readonly heartbeat: HeartbeatAccess | undefined;
}

/**
 * Makes sure that each field that resume and heartbeats go by is there, in ts-proto's words, and of a fitting type as
 * far as an empty message tells.
 */
export function checkFields(
  method: string,
  { requestType, responseType }: MethodDefinition,
  { policy, cursor, heartbeat }: FieldAccess,
): Problem[] {
  const request = emptyOf(requestType);
  const response = emptyOf(responseType);
  const cursors = [...(cursor ? checkCursor(cursor, request, response) : []), ...unread(policy?.resume, cursor)];
  const heartbeats = heartbeat
    ? checkField(response, heartbeat.field, "field", FLAG)
    : policy?.heartbeat && [{ path: [], message: "is missing: the method has heartbeats" }];
  return [...within(["cursors", method], cursors), ...within(["heartbeats", method], heartbeats ?? [])];
}

type Empty = Readonly<Record<string, unknown>> | undefined;

/** Without `fromPartial` nobody knows what is in a message. */
function emptyOf(type: { fromPartial?: unknown }): Empty {
  return typeof type.fromPartial === "function" ? type.fromPartial({}) : undefined;
}

function checkCursor(cursor: CursorAccess, request: Empty, response: Empty): Problem[] {
  const { requestField, cursorField, progressField, limitField } = cursor;
  return [
    ...checkField(request, requestField, "requestField"),
    ...checkField(response, cursorField, "cursorField"),
    ...(progressField === undefined ? [] : checkField(response, progressField, "progressField", FLAG)),
    ...(limitField === undefined ? [] : checkField(request, limitField, "limitField", INTEGER)),
    ...(limitField !== undefined && limitField === requestField
      ? [{ path: ["limitField"], message: `is requestField too, ${limitField}: a limit has a field of its own` }]
      : []),
  ];
}

/** What the contract names and nobody looks at. */
function unread(resume: MethodPolicy["resume"], cursor: CursorAccess | undefined): Problem[] {
  if (!resume) return [];
  if (!cursor) return [{ path: [], message: "is missing: the method resumes" }];
  return (["progressField", "limitField"] as const).flatMap((key) => {
    if (resume[key] === undefined || cursor[key] !== undefined) return [];
    return [{ path: [key], message: `is missing: resume names ${resume[key]}` }];
  });
}

/** What a field holds in an empty message. */
interface Fit {
  readonly what: string;
  fits(value: unknown): boolean;
}

const FLAG: Fit = { what: "a bool that is false by default", fits: (value) => value === false };

/** Number, bigint, text or Long, as ts-proto's `forceLong` says. */
const INTEGER: Fit = {
  what: "an integer",
  fits: (value) => typeof value !== "boolean" && /^-?\d+$/.test(String(value)),
};

/** A field that ts-proto names otherwise than the generator did, since their options differ, or that does not fit. */
function checkField(empty: Empty, field: string, key: string, fit?: Fit): Problem[] {
  if (!empty) return [];
  if (!Object.hasOwn(empty, field)) {
    const known = Object.keys(empty).join(", ");
    const message = `ts-proto's message has no field ${field}, only ${known}: give protoc-gen-bowline the same snakeToCamel as ts-proto`;
    return [{ path: [key], message }];
  }
  const value = empty[field];
  // An optional field is left undefined, whatever its type.
  if (!fit || value === undefined || fit.fits(value)) return [];
  return [{ path: [key], message: `must be ${fit.what}; in an empty message ${field} is ${show(value)}` }];
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" ? "an object" : String(value);
}

function within(path: readonly string[], problems: readonly Problem[]): Problem[] {
  return problems.map((problem) => ({ path: [...path, ...problem.path], message: problem.message }));
}
