import type { CallContext } from "./call-context.ts";
import { CURSOR_HEADER, type Cursor, encodeCursor } from "./cursor.ts";

/**
 * What `context.pin` does: puts the position into the header, and sends that (rule S5).
 *
 * @throws TypeError for a method that cannot be resumed, what is no position, and a header that cannot be sent.
 */
export function pin(context: Pick<CallContext, "method" | "header" | "sendHeader">, cursor: Cursor): void {
  const { kind, path } = context.method;
  if (kind !== "server-stream") throw new TypeError(`${path}: pin is for server-streams; this is a ${kind} method`);
  if (!isCursor(cursor)) {
    throw new TypeError(`${path}: pin takes a whole number, a string or bytes; it got ${String(cursor)}`);
  }
  context.header.set(CURSOR_HEADER, encodeCursor(cursor));
  context.sendHeader();
}

function isCursor(cursor: Cursor): boolean {
  if (typeof cursor === "bigint" || typeof cursor === "string" || cursor instanceof Uint8Array) return true;
  if (typeof cursor === "number") return Number.isSafeInteger(cursor);
  // A Long: its class is the application's.
  return typeof cursor === "object" && cursor !== null && /^-?\d+$/.test(String(cursor));
}
