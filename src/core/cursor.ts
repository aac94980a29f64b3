/**
 * A position in a stream, of whatever type the contract's field has: a bigint, number, decimal string or `Long` for
 * 64-bit integers, as ts-proto's `forceLong` says; else a string or bytes.
 */
export type Cursor = unknown;

/** The protobuf type of a cursor. Numbers have an order; strings and bytes are only ever compared for equality. */
export type CursorType = "int64" | "uint64" | "string" | "bytes";

/** The header in which a server tells the position at which a stream begins (rule S5). */
export const CURSOR_HEADER = "bowline-cursor-bin";

/**
 * Whether a request or response says a position at all: protobuf sends no zero and nothing empty.
 *
 * @param ordered whether the field is a number, as a decimal string may be too.
 */
export function isPosition(cursor: Cursor, ordered: boolean): boolean {
  // First what is asked of every message of a stream.
  if (typeof cursor === "bigint") return cursor !== 0n;
  if (cursor === undefined || cursor === null) return false;
  if (cursor instanceof Uint8Array) return cursor.byteLength > 0;
  const text = String(cursor);
  return text !== "" && !(ordered && text === "0");
}

/** As it is sent in `CURSOR_HEADER`: bytes as they are, all else as text. */
export function encodeCursor(cursor: Cursor): Uint8Array {
  return cursor instanceof Uint8Array ? cursor : new TextEncoder().encode(String(cursor));
}

/**
 * Out of `CURSOR_HEADER`.
 *
 * @param like a value of the type wanted, such as the field of an empty request.
 * @throws SyntaxError for what is no number where one is wanted; TypeError for what is no text.
 */
export function decodeCursor(bytes: Uint8Array, like: Cursor): Cursor {
  if (like instanceof Uint8Array) return bytes;
  // Another text than was sent would be another position.
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  // Only a number's field is "0" when it is empty.
  return typeof like === "string" && like !== "0" ? text : integerLike(BigInt(text), like);
}

/** A whole number, of the type that another value of its field has. */
export function integerLike(integer: bigint, like: unknown): unknown {
  if (typeof like === "bigint") return integer;
  if (typeof like === "number") return safeNumber(integer);
  if (typeof like === "string") return String(integer);
  // A Long: its class is the application's, and knows how to read one.
  const { constructor: Long, unsigned } = like as {
    readonly constructor: { fromString(text: string, unsigned?: boolean): unknown };
    readonly unsigned?: boolean;
  };
  return Long.fromString(String(integer), unsigned);
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

/** @throws RangeError for a number that JavaScript would round to another position. */
function safeNumber(integer: bigint): number {
  const number = Number(integer);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${integer} is no safe integer: have ts-proto use bigint`);
  return number;
}
