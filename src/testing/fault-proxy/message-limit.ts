/** A message's head: a flag and a length of four bytes. */
const HEAD_BYTES = 5;

/** Lets so many gRPC messages of a stream pass. */
export class MessageLimit {
  #left: number;
  /** Bytes of the message under way that are still to come, its head included; unknown while the head is incomplete. */
  #missing: number | undefined;
  #head = Buffer.alloc(0);

  constructor(count: number) {
    this.#left = count;
  }

  /** Whether all of them have passed. */
  get reached(): boolean {
    return this.#left === 0;
  }

  /** The part of the bytes that may pass. */
  take(bytes: Buffer): Buffer {
    let offset = 0;
    while (offset < bytes.length && !this.reached) offset += this.#advance(bytes.subarray(offset));
    return bytes.subarray(0, offset);
  }

  /** Takes bytes of one message, and says how many. */
  #advance(bytes: Buffer): number {
    if (this.#missing === undefined) return this.#readHead(bytes);
    const taken = Math.min(this.#missing, bytes.length);
    this.#missing -= taken;
    if (this.#missing === 0) this.#next();
    return taken;
  }

  #readHead(bytes: Buffer): number {
    const taken = Math.min(HEAD_BYTES - this.#head.length, bytes.length);
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, taken)]);
    if (this.#head.length < HEAD_BYTES) return taken;
    this.#missing = this.#head.readUInt32BE(1);
    if (this.#missing === 0) this.#next();
    return taken;
  }

  #next(): void {
    this.#left -= 1;
    this.#missing = undefined;
    this.#head = Buffer.alloc(0);
  }
}
