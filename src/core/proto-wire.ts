/**
 * Protobuf's wire format, as far as rich errors need it: core imports nothing, and they are small. Everything else is
 * encoded by the contract's own code.
 */

/** A field as it stands in a message: a varint, or the bytes of what has a length. */
export interface WireField {
  readonly number: number;
  readonly value: bigint | Uint8Array;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A varint has at most so many bits in groups of seven. */
const MOST_VARINT_BITS = 70n;

/**
 * The fields of a message, in their order. Those of a fixed length, which no message here has, are left out.
 *
 * @throws RangeError if the bytes are no message.
 */
export function readFields(bytes: Uint8Array): WireField[] {
  const source = { bytes, position: 0 };
  const fields: WireField[] = [];
  while (source.position < bytes.length) {
    const tag = readVarint(source);
    const number = Number(tag >> 3n);
    if (number === 0) throw new RangeError("a field has no number");
    const value = readValue(source, Number(tag & 7n));
    if (value !== undefined) fields.push({ number, value });
  }
  return fields;
}

interface Source {
  readonly bytes: Uint8Array;
  position: number;
}

function readValue(source: Source, wire: number): bigint | Uint8Array | undefined {
  if (wire === VARINT) return readVarint(source);
  if (wire === BYTES) return take(source, readVarint(source));
  if (wire === FIXED64) take(source, 8n);
  else if (wire === FIXED32) take(source, 4n);
  else throw new RangeError(`a field has wire type ${wire}`);
  return undefined;
}

function readVarint(source: Source): bigint {
  let value = 0n;
  for (let shift = 0n; shift < MOST_VARINT_BITS; shift += 7n) {
    const byte = source.bytes[source.position++];
    if (byte === undefined) throw new RangeError("the bytes are cut");
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  throw new RangeError("a varint does not end");
}

function take(source: Source, length: bigint): Uint8Array {
  const begin = source.position;
  if (length > source.bytes.length - begin) throw new RangeError("the bytes are cut");
  source.position = begin + Number(length);
  return source.bytes.subarray(begin, source.position);
}

/*
 * Bytes are written to the end of an array of numbers: messages here have many small parts, and a typed array for each
 * took twice as long.
 */

/** Writes a field with a number; a negative one as protobuf has it, in ten bytes. */
export function writeVarint(out: number[], number: number, value: bigint): void {
  writeLength(out, number << 3);
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
}

/** Writes a field with bytes, or with another message. */
export function writeBytes(out: number[], number: number, value: Uint8Array | readonly number[]): void {
  writeLength(out, (number << 3) | BYTES);
  writeLength(out, value.length);
  for (let at = 0; at < value.length; at += 1) out.push(value[at] ?? 0);
}

/** Writes a field with a text. */
export function writeText(out: number[], number: number, value: string): void {
  if (!ASCII.test(value)) return writeBytes(out, number, new TextEncoder().encode(value));
  writeLength(out, (number << 3) | BYTES);
  writeLength(out, value.length);
  for (let at = 0; at < value.length; at += 1) out.push(value.charCodeAt(at));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a byte each, control characters too
const ASCII = /^[\x00-\x7f]*$/;

/** A number of up to 31 bits. */
function writeLength(out: number[], value: number): void {
  let rest = value;
  for (; rest > 0x7f; rest >>= 7) out.push((rest & 0x7f) | 0x80);
  out.push(rest);
}
