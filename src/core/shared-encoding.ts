import type { Codec } from "./method.ts";

/** What each codec made of messages that many receive; it is kept as long as the message is. */
const encodings = new WeakMap<object, Map<Codec, Uint8Array>>();

/** Until a message is shared, nobody pays for looking. */
let isAnyShared = false;

/**
 * Has a message encoded once for all who receive it, however often it is sent. It must not be changed from now on:
 * nobody would notice.
 */
export function shareEncoding(message: unknown): void {
  if (typeof message !== "object" || message === null || encodings.has(message)) return;
  isAnyShared = true;
  encodings.set(message, new Map());
}

/** The bytes of a message that is shared; undefined for any other. */
export function sharedBytes(codec: Codec, message: unknown): Uint8Array | undefined {
  if (!isAnyShared) return undefined;
  const known = encodings.get(message as object);
  if (!known) return undefined;
  const bytes = known.get(codec) ?? codec.encode(message);
  known.set(codec, bytes);
  return bytes;
}
