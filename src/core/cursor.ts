/**
 * A position in a stream, of whatever type the contract's field has: a bigint, number, decimal string or `Long` for
 * 64-bit integers, as ts-proto's `forceLong` says; else a string or bytes.
 */
export type Cursor = unknown;

/** The header in which a server tells the position at which a stream begins (rule S5). */
export const CURSOR_HEADER = "bowline-cursor-bin";

/** Whether a request or response says a position at all: protobuf sends no zero and nothing empty. */
export function isPosition(cursor: Cursor): boolean {
  if (cursor === undefined || cursor === null) return false;
  if (cursor instanceof Uint8Array) return cursor.byteLength > 0;
  const text = String(cursor);
  return text !== "" && !(text === "0" && typeof cursor !== "string");
}

/** As it is sent in `CURSOR_HEADER`: bytes as they are, all else as text. */
export function encodeCursor(cursor: Cursor): Uint8Array {
  return cursor instanceof Uint8Array ? cursor : new TextEncoder().encode(String(cursor));
}

/**
 * Out of `CURSOR_HEADER`.
 *
 * @param like a value of the type wanted, such as the field of an empty request.
 * @throws SyntaxError for what is no number where one is wanted.
 */
export function decodeCursor(bytes: Uint8Array, like: Cursor): Cursor {
  if (like instanceof Uint8Array) return bytes;
  const text = new TextDecoder().decode(bytes);
  return typeof like === "string" ? text : integerLike(BigInt(text), like);
}

/** A whole number, of the type that another value of its field has. */
export function integerLike(integer: bigint, like: unknown): unknown {
  if (typeof like === "bigint") return integer;
  if (typeof like === "number") return Number(integer);
  if (typeof like === "string") return String(integer);
  // A Long: its class is the application's, and knows how to read one.
  const { constructor: Long } = like as { constructor: { fromString(text: string): unknown } };
  return Long.fromString(String(integer));
}

/** Whether two positions are the same. */
export function sameCursor(one: Cursor, other: Cursor): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) {
    return one.byteLength === other.byteLength && one.every((byte, at) => byte === other[at]);
  }
  return typeof one === typeof other && String(one) === String(other);
}

/** Whether a position of a type that has an order is at or before another. */
export function isAtOrBefore(one: Cursor, other: Cursor): boolean {
  return ordinal(one) <= ordinal(other);
}

function ordinal(cursor: Cursor): bigint | number {
  return typeof cursor === "bigint" || typeof cursor === "number" ? cursor : BigInt(String(cursor));
}

/** For logs and observers; bytes in hexadecimal. */
export function showCursor(cursor: Cursor): string {
  if (!(cursor instanceof Uint8Array)) return String(cursor);
  return Array.from(cursor, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
