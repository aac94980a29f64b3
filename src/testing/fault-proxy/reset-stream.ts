import type { Http2Stream } from "node:http2";
import { HTTP2_CODES, type Http2Code } from "./rules.ts";

/**
 * Resets a stream. `close()` alone would end it first: for a moment the other side would take what was cancelled for
 * complete.
 */
export function resetStream(stream: Http2Stream, code: number): void {
  if (stream.destroyed || stream.closed) return;
  if (!stream.writableEnded) stream.end = () => stream;
  stream.close(code);
  // With NO_ERROR, node:http2 waits for the end that it was kept from.
  if (code === HTTP2_CODES.NO_ERROR) stream.destroy();
}

const CODE_NAMES = Object.keys(HTTP2_CODES) as Http2Code[];

/** A code's name; what HTTP/2 does not define counts as INTERNAL_ERROR (RFC 9113, 7). */
export function codeName(code: number): Http2Code {
  return CODE_NAMES[code] ?? "INTERNAL_ERROR";
}
