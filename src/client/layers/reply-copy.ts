import type { Metadata as MetadataType } from "nice-grpc-common";
import type { Reply } from "../../core/call.ts";
import type { Codec } from "../../core/method.ts";
import { Metadata } from "../../transport/index.ts";

/** A message of one's own out of bytes that others decode too: one that has bytes itself may be a view of them. */
export function decodeCopy(codec: Codec, bytes: Uint8Array): unknown {
  return codec.decode(new Uint8Array(bytes));
}

/** Another call's reply, with a message and metadata of its own: what one caller does to it no other sees. */
export class ReplyCopy implements Reply {
  readonly message: unknown;
  readonly #original: Reply;

  constructor(message: unknown, original: Reply) {
    this.message = message;
    this.#original = original;
  }

  get header(): MetadataType {
    return new Metadata(this.#original.header);
  }

  get trailer(): MetadataType {
    return new Metadata(this.#original.trailer);
  }
}

/** A reply that no call has brought, such as one that was kept: without metadata. */
export class OwnReply implements Reply {
  readonly message: unknown;

  constructor(message: unknown) {
    this.message = message;
  }

  get header(): MetadataType {
    return new Metadata();
  }

  get trailer(): MetadataType {
    return new Metadata();
  }
}
