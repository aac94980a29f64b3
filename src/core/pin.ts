import type { CallContext } from "./call-context.ts";
import { CURSOR_HEADER, type Cursor, type CursorType, encodeCursor } from "./cursor.ts";

/** What a position is. */
interface Kind {
  readonly what: string;
  takes(cursor: Cursor): boolean;
}

const KINDS: Readonly<Record<CursorType, Kind>> = {
  int64: { what: "a whole number of 64 bits", takes: (cursor) => isInteger(cursor, BigInt.asIntN) },
  uint64: { what: "a whole number of 64 bits, 0 or more", takes: (cursor) => isInteger(cursor, BigInt.asUintN) },
  string: { what: "a string", takes: (cursor) => typeof cursor === "string" },
  bytes: { what: "a Uint8Array", takes: (cursor) => cursor instanceof Uint8Array },
};

/** Where no contract says what a method's positions are. */
const ANY: Kind = {
  what: "a whole number, a string or bytes",
  takes: (cursor) => typeof cursor === "string" || cursor instanceof Uint8Array || isInteger(cursor),
};

/**
 * What `context.pin` does: puts the position into the header, and sends that (rule S5).
 *
 * @throws TypeError for a method that cannot be resumed, what is no position of this one, and a header that cannot be
 *   sent.
 */
export function pin(context: Pick<CallContext, "method" | "header" | "sendHeader">, cursor: Cursor): void {
  const { kind, path, cursorType } = context.method;
  if (kind !== "server-stream") throw new TypeError(`${path}: pin is for server-streams; this is a ${kind} method`);
  const { what, takes } = cursorType ? KINDS[cursorType] : ANY;
  if (!takes(cursor)) {
    const why = cursorType ? `, since its positions are ${cursorType}` : "";
    throw new TypeError(`${path}: pin takes ${what}${why}; it got ${shown(cursor)}`);
  }
  context.header.set(CURSOR_HEADER, encodeCursor(cursor));
  context.sendHeader();
}

/** A bigint, number, decimal string or Long, that a field of 64 bits can hold. */
function isInteger(cursor: Cursor, within?: (bits: number, integer: bigint) => bigint): boolean {
  if (typeof cursor === "number" && !Number.isSafeInteger(cursor)) return false;
  // A Long is known by its text, since its class is the application's. A single byte has such a text too.
  const text = cursor instanceof Uint8Array ? "" : String(cursor);
  if (!/^-?\d+$/.test(text)) return false;
  return within === undefined || within(64, BigInt(text)) === BigInt(text);
}

function shown(cursor: Cursor): string {
  if (cursor instanceof Uint8Array) return "bytes";
  const text = typeof cursor === "string" ? JSON.stringify(cursor) : String(cursor);
  return typeof cursor === "bigint" ? `${text}n` : text;
}
