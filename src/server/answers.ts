import { encodeMessage, type Method, noMessage } from "../core/method.ts";

/** @throws TypeError for what is no message. What it is may be secret, and is not quoted. */
export function requireMessage(message: unknown, { path, responseStream }: Method): void {
  const what = noMessage(message);
  if (what === undefined) return;
  const did = responseStream ? "yielded" : "returned";
  throw new TypeError(`the handler of ${path}, or a middleware around it, ${did} ${what}, not a message`);
}

/**
 * The bytes of what a handler answers.
 *
 * @throws what the encoder throws; of what is no message, a TypeError that says whose it is.
 */
export function encodeResponse(method: Method, message: unknown): Uint8Array {
  try {
    return encodeMessage(method.response, message);
  } catch (cause) {
    requireMessage(message, method);
    throw cause;
  }
}
