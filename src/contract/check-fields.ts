import type { BatchAccess } from "./batch.ts";
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
  readonly batch: BatchAccess | undefined;
}

type Methods = Readonly<Record<string, MethodDefinition>>;

/**
 * Makes sure that each field that resume, heartbeats and batches go by is there, in ts-proto's words, and of a fitting
 * type as far as an empty message tells.
 */
export function checkFields(
  method: string,
  methods: Methods,
  { policy, cursor, heartbeat, batch }: FieldAccess,
): Problem[] {
  const request = emptyOf(methods[method]?.requestType);
  const response = emptyOf(methods[method]?.responseType);
  const cursors = [...(cursor ? checkCursor(cursor, request, response) : []), ...unread(policy?.resume, cursor)];
  const heartbeats = heartbeat
    ? checkField(response, heartbeat.field, "field", FLAG)
    : policy?.heartbeat && [{ path: [], message: "is missing: the method has heartbeats" }];
  return [
    ...within(["cursors", method], cursors),
    ...within(["heartbeats", method], heartbeats ?? []),
    ...within(["batches", method], checkBatchAccess(policy?.batch, batch, methods)),
  ];
}

/** The entries of a batch are not looked into: an empty response has none. */
function checkBatchAccess(policy: MethodPolicy["batch"], batch: BatchAccess | undefined, methods: Methods): Problem[] {
  if (!batch) return policy ? [{ path: [], message: "is missing: the method is batched" }] : [];
  const target = Object.hasOwn(methods, batch.method) ? methods[batch.method] : undefined;
  if (!target || (policy && target.name !== policy.method)) {
    const message = `must be the key of ${policy?.method ?? "a method"}; it is ${batch.method}`;
    return [{ path: ["method"], message }];
  }
  return [
    ...checkField(emptyOf(target.requestType), batch.requestsField, "requestsField", LIST),
    ...checkField(emptyOf(target.responseType), batch.responsesField, "responsesField", LIST),
    ...(["responseField", "statusField"] as const).flatMap((key) => {
      if (!policy?.[key] || batch[key]) return [];
      return [{ path: [key], message: `is missing: batch names ${policy[key]}` }];
    }),
  ];
}

type Empty = Readonly<Record<string, unknown>> | undefined;

/** Without `fromPartial` nobody knows what is in a message. */
function emptyOf(type: { fromPartial?: unknown } | undefined): Empty {
  return typeof type?.fromPartial === "function" ? type.fromPartial({}) : undefined;
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

const LIST: Fit = { what: "a list", fits: Array.isArray };

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
