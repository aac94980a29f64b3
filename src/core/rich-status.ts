import { FIELD_OVERHEAD } from "./metadata-size.ts";
import { decodeShape, encodeShape, type Shape } from "./proto-shape.ts";
import { writeBytes } from "./proto-wire.ts";
import type { AnyDetail, StatusDetail, StatusDetailInit } from "./status-detail.ts";
import { fromAny, packDetail } from "./status-detail-codec.ts";

/** The trailer of rich errors: a `google.rpc.Status`. */
export const STATUS_DETAILS = "grpc-status-details-bin";

/**
 * How large the text of a status, its details and the trailers given with it may be together on the wire, in bytes.
 * Java's and C's peers take 8 KiB of trailers in all unless told otherwise, and end the call with another status where
 * there is more; a kibibyte is left for what else the handler and gRPC send.
 */
export const MOST_STATUS_BYTES = 7 * 1024;

/** The most that a field's number and length take where it is shorter than 16 KiB. */
const FIELD_HEAD = 3;

const ANY: Shape = { typeUrl: { number: 1, type: "text" }, value: { number: 2, type: "bytes" } };

/** google/rpc/status.proto. */
const STATUS = {
  code: { number: 1, type: "int64" },
  message: { number: 2, type: "text" },
  details: { number: 3, type: ANY, many: true },
} as const satisfies Shape;

/**
 * The details of a status, as the trailer that carries them.
 *
 * What is too large is cut: of a list, such as violations, as many entries are sent as there is room for; a detail
 * that has none, or does not fit with one entry, is left out, and so is what stands behind it unless it fits.
 *
 * @param others how many bytes the other trailers take.
 * @returns undefined if there is room for none.
 */
export function encodeStatus(
  { code, message }: { readonly code: number; readonly message: string },
  details: readonly StatusDetailInit[],
  others: number,
): Uint8Array | undefined {
  const text = message.toWellFormed();
  const status = encodeShape(STATUS, { code: BigInt(code), message: text });
  const bare = status.length;
  const onWire = MOST_STATUS_BYTES - others - encodeURI(text).length - STATUS_DETAILS.length - FIELD_OVERHEAD;
  // In base64 on the wire: four for each three that were begun.
  let room = Math.floor(onWire / 4) * 3 - bare;
  for (const detail of details) {
    const any = fitting(detail, room - FIELD_HEAD);
    if (!any) continue;
    const before = status.length;
    writeBytes(status, STATUS.details.number, any);
    room -= status.length - before;
  }
  return status.length > bare ? new Uint8Array(status) : undefined;
}

/** A detail as an Any, cut to the room that there is; undefined if that does not do. */
function fitting(detail: StatusDetailInit, room: number): number[] | undefined {
  const [name, entries] = Object.entries(detail).find(isList) ?? [];
  if (name === undefined || entries === undefined) {
    if (detail.$type === "google.protobuf.Any" && detail.value.length > room) return undefined;
    const whole = encodeAny(detail);
    return whole.length <= room ? whole : undefined;
  }
  const first = (count: number) => encodeAny({ ...detail, [name]: entries.slice(0, count) });
  // Each entry takes two bytes at least: of a hundred thousand, few need be looked at.
  const most = Math.min(entries.length, Math.max(0, Math.floor(room / 2)));
  const whole = first(most);
  if (most === entries.length && whole.length <= room) return whole;
  // The least count that is too large lies above `fits` and not above `tooMany`.
  let fits = 0;
  for (let tooMany = most; tooMany - fits > 1; ) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (first(middle).length <= room) fits = middle;
    else tooMany = middle;
  }
  return fits > 0 ? first(fits) : undefined;
}

function isList(field: [string, unknown]): field is [string, unknown[]] {
  return Array.isArray(field[1]);
}

function encodeAny(detail: StatusDetailInit): number[] {
  return encodeShape(ANY, packDetail(detail));
}

/** The details of the statuses in a trailer, in their order; none of what is no status. */
export function decodeStatus(statuses: readonly unknown[]): StatusDetail[] {
  return statuses.flatMap((bytes) => (bytes instanceof Uint8Array ? detailsOf(bytes) : []));
}

function detailsOf(bytes: Uint8Array): StatusDetail[] {
  try {
    const { details } = decodeShape(STATUS, bytes) as { details: AnyDetail[] };
    return details.map(fromAny);
  } catch {
    return [];
  }
}
