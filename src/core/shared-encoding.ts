import type { Codec } from "./method.ts";

/** What a codec made of a message. */
interface Encoding {
  readonly codec: Codec;
  readonly bytes: Uint8Array;
  /** Another codec's: a message rarely has more than one, and a list for each would be kept as long as the message. */
  readonly next: Encoding | undefined;
}

/** Its constructor gives back what it is given, so that a subclass's private field comes to stand on that. */
class Given {
  constructor(message: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is what it is for
    return message;
  }
}

/**
 * Messages that have room for their bytes, in a private field of this class. A WeakMap would do the same and cost 2 µs
 * for each message, as much as to encode it; the field costs 40 ns. Unlike a property it is not copied along with a
 * message, by a spread that changes it.
 */
class Shared extends Given {
  #encoding: Encoding | undefined;

  static isShared(message: object): message is Shared {
    return #encoding in message;
  }

  static bytes(message: Shared, codec: Codec): Uint8Array {
    for (let known = message.#encoding; known; known = known.next) if (known.codec === codec) return known.bytes;
    const bytes = codec.encode(message);
    message.#encoding = { codec, bytes, next: message.#encoding };
    return bytes;
  }
}

/**
 * Has a message encoded once for all who receive it, however often it is sent. It must not be changed from now on:
 * nobody would notice.
 */
export function shareEncoding(message: unknown): void {
  if (typeof message !== "object" || message === null || Shared.isShared(message)) return;
  try {
    new Shared(message);
  } catch (error) {
    // A frozen message, where the engine lets it have no private field any more: it is encoded each time.
    if (Object.isExtensible(message)) throw error;
  }
}

/** The bytes of a message that is shared; undefined for any other. */
export function sharedBytes(codec: Codec, message: unknown): Uint8Array | undefined {
  if (typeof message !== "object" || message === null || !Shared.isShared(message)) return undefined;
  return Shared.bytes(message, codec);
}
