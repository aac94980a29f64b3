import { decodeShape, encodeShape, type Shape, shapeProblems } from "./proto-shape.ts";
import type { AnyDetail, StatusDetail, StatusDetailInit, StatusDetailType } from "./status-detail.ts";

const text = (number: number) => ({ number, type: "text" }) as const;
const labels = (number: number) => ({ number, type: "labels" }) as const;
const list = (number: number, type: Shape | "text") => ({ number, type, many: true }) as const;

const LOCALIZED: Shape = { locale: text(1), message: text(2) };

const QUOTA: Shape = {
  subject: text(1),
  description: text(2),
  apiService: text(3),
  quotaMetric: text(4),
  quotaId: text(5),
  quotaDimensions: labels(6),
  quotaValue: { number: 7, type: "int64" },
  futureQuotaValue: { number: 8, type: "int64", optional: true },
};

const FIELD: Shape = {
  field: text(1),
  description: text(2),
  reason: text(3),
  localizedMessage: { number: 4, type: LOCALIZED },
};

const PRECONDITION: Shape = { type: text(1), subject: text(2), description: text(3) };

/** The messages of google/rpc/error_details.proto, by their full names. */
export const DETAIL_SHAPES: Readonly<Record<Exclude<StatusDetailType, "google.protobuf.Any">, Shape>> = {
  "google.rpc.ErrorInfo": { reason: text(1), domain: text(2), metadata: labels(3) },
  "google.rpc.RetryInfo": { retryDelayMs: { number: 1, type: "milliseconds" } },
  "google.rpc.DebugInfo": { stackEntries: list(1, "text"), detail: text(2) },
  "google.rpc.QuotaFailure": { violations: list(1, QUOTA) },
  "google.rpc.PreconditionFailure": { violations: list(1, PRECONDITION) },
  "google.rpc.BadRequest": { fieldViolations: list(1, FIELD) },
  "google.rpc.RequestInfo": { requestId: text(1), servingData: text(2) },
  "google.rpc.ResourceInfo": {
    resourceType: text(1),
    resourceName: text(2),
    owner: text(3),
    description: text(4),
  },
  "google.rpc.Help": { links: list(1, { description: text(1), url: text(2) }) },
  "google.rpc.LocalizedMessage": LOCALIZED,
};

/** What precedes a type's name in an Any. */
export const TYPE_URL = "type.googleapis.com/";

function shapeOf(type: string): Shape | undefined {
  return Object.hasOwn(DETAIL_SHAPES, type) ? DETAIL_SHAPES[type as keyof typeof DETAIL_SHAPES] : undefined;
}

/** The name of the type that an Any holds. */
export function typeOfAny({ typeUrl }: { readonly typeUrl: string }): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

/**
 * A detail as it stands in a status: a `google.protobuf.Any`, as ts-proto has it, to put into a `google.rpc.Status` of
 * one's own such as an entry of a batch.
 *
 * @throws TypeError that lists all that is wrong with the detail.
 */
export function toAny(detail: StatusDetailInit): AnyDetail {
  const problems = detailProblems(detail, "detail");
  if (problems.length > 0) throw new TypeError(`toAny: ${problems.join("; ")}`);
  return packDetail(detail);
}

/** `toAny` of a detail in which `detailProblems` finds nothing wrong. */
export function packDetail(detail: StatusDetailInit): AnyDetail {
  if (detail.$type === "google.protobuf.Any") return detail;
  const value = new Uint8Array(encodeShape(DETAIL_SHAPES[detail.$type], detail));
  return { $type: "google.protobuf.Any", typeUrl: TYPE_URL + detail.$type, value };
}

/** What an Any holds, if it is one of the standard types and can be read; else the Any itself. */
export function fromAny({ typeUrl = "", value = new Uint8Array() }: Partial<Omit<AnyDetail, "$type">>): StatusDetail {
  const type = typeOfAny({ typeUrl });
  const shape = shapeOf(type);
  const any: AnyDetail = { $type: "google.protobuf.Any", typeUrl, value };
  if (!shape) return any;
  try {
    return { $type: type, ...decodeShape(shape, value) } as StatusDetail;
  } catch {
    return any;
  }
}

/** All that keeps a detail from being sent; `path` is where it stands. */
export function detailProblems(detail: unknown, path: string): string[] {
  if (typeof detail !== "object" || detail === null) return [`${path} must be an object with $type`];
  const { $type, ...fields } = detail as Partial<AnyDetail>;
  if ($type === "google.protobuf.Any") return anyProblems(fields, path);
  const shape = typeof $type === "string" ? shapeOf($type) : undefined;
  if (shape) return shapeProblems(shape, fields, path);
  const types = Object.keys(DETAIL_SHAPES).join(", ");
  return [
    `${path}.$type must be one of ${types}, or google.protobuf.Any as anyDetail makes it; it is ${JSON.stringify($type)}`,
  ];
}

function anyProblems({ typeUrl, value }: Partial<AnyDetail>, path: string): string[] {
  const named = typeof typeUrl === "string" && /\/[^/]+$/.test(typeUrl);
  return [
    ...(named ? [] : [`${path}.typeUrl must end in a slash and the name of a message`]),
    ...(value instanceof Uint8Array ? [] : [`${path}.value must be bytes`]),
  ];
}

/** A detail as logs take it: without bytes and numbers that JSON does not have. */
export function detailToJson(detail: StatusDetail): object {
  if (detail.$type === "google.protobuf.Any") return { $type: detail.$type, typeUrl: detail.typeUrl };
  const json = JSON.stringify(detail, (_, value) => (typeof value === "bigint" ? String(value) : value));
  return JSON.parse(json);
}
