import { type ClientHttp2Stream, constants, type ServerHttp2Stream } from "node:http2";
import type { MessageLimit } from "./message-limit.ts";

/** Passes on what the client sends: bytes, and their end. */
export function relayRequest(near: ServerHttp2Stream, far: ClientHttp2Stream): void {
  near.on("data", (chunk: Buffer) => {
    if (!isClosed(far) && !far.write(chunk)) near.pause();
  });
  far.on("drain", () => near.resume());
  near.on("end", () => {
    if (!wasReset(near) && !far.closed) far.end();
  });
}

/** What a relayed answer comes to. */
export interface AnswerEvents {
  /** The server has sent everything. */
  ended(): void;
  /** The limit is reached, and what was to pass is on its way; the rest of the answer goes nowhere. */
  limited(): void;
}

/** Passes on the messages of an answer, up to a limit if there is one. */
export function relayAnswer(
  far: ClientHttp2Stream,
  near: ServerHttp2Stream,
  limit: MessageLimit | undefined,
  events: AnswerEvents,
): void {
  let limited = false;
  const stop = () => {
    limited = true;
    far.resume();
    near.write(Buffer.alloc(0), () => events.limited());
  };
  near.on("drain", () => far.resume());
  far.on("data", (chunk: Buffer) => {
    if (limited || isClosed(near)) return;
    if (!near.write(limit ? limit.take(chunk) : chunk)) far.pause();
    if (limit?.reached) stop();
  });
  far.on("end", () => {
    if (wasReset(far)) return;
    events.ended();
    if (!limited && !isClosed(near)) near.end();
  });
  if (limit?.reached) stop();
}

/** Reads an answer that goes nowhere. */
export function swallowAnswer(far: ClientHttp2Stream, ended: () => void): void {
  far.on("end", () => {
    if (!wasReset(far)) ended();
  });
  far.resume();
}

/** Whether nothing can be written any more. */
export function isClosed(stream: ServerHttp2Stream | ClientHttp2Stream): boolean {
  return stream.closed || stream.destroyed;
}

/** What a reset leaves behind ends too, as if it were complete. */
function wasReset(stream: ServerHttp2Stream | ClientHttp2Stream): boolean {
  return stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted;
}
